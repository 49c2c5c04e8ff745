"""Every rank shows the others that it is alive. A collective with one that is not would wait for hours."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from threading import Event, Thread

from torch.distributed import Store

BEATS = 30  # that a rank may miss
DONE = b"done"


class Heartbeat(Thread):
    """Beats from `start` to `stop`, and listens to the other ranks.

    store: a connection that nothing else uses. keys: of all ranks, with their process ids. timeout: seconds that a rank
    may be silent; those in which this process itself is stopped do not count. on_silence: is called, in this thread,
    with the process id of each rank that was silent for longer.
    """

    def __init__(
        self,
        store: Store,
        keys: Sequence[str],
        rank: int,
        timeout: float,
        on_silence: Callable[[dict[int, int]], None],
    ):
        super().__init__(daemon=True)
        self._store, self._keys, self._key = store, list(keys), keys[rank]
        self._seconds = timeout / BEATS
        self._on_silence = on_silence
        self._over = Event()

    def stop(self) -> None:
        """This rank has done its part, and will be silent."""
        self._over.set()
        self.join(timeout=BEATS * self._seconds)

    def run(self) -> None:
        heard, missed = [b""] * len(self._keys), [0] * len(self._keys)
        with suppress(RuntimeError):  # whoever holds the store has ended; it is for the collectives to fail
            for beat in count():
                self._store.set(self._key, f"{os.getpid()} {beat}")
                before, heard = heard, self._store.multi_get(self._keys)
                missed = [
                    0 if said == DONE or said != last else number + 1
                    for said, last, number in zip(heard, before, missed, strict=True)
                ]
                if silent := {i: int(heard[i].split()[0]) for i, number in enumerate(missed) if number >= BEATS}:
                    self._on_silence(silent)
                    return
                if self._over.wait(self._seconds):
                    break
            self._store.set(self._key, DONE.decode())
