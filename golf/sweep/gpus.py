"""GPUs of this host, lent to one job at a time."""

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from golf.errors import UserError, require
from golf.utils.lock import SECONDS_BETWEEN_LOOKS, locked, try_lock
from golf.utils.writing import private_directory

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds: no process holds the lock for longer than a look at all GPUs


def visible() -> list[str]:
    """The UUIDs of the GPUs that this process may use; none without a driver."""
    listed = _listed()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return listed
    found: list[str] = []
    for name in filter(None, allowed.split(",")):
        if name.isdecimal():
            meant = listed[int(name) : int(name) + 1]
        else:
            meant = [uuid for uuid in listed if uuid.startswith(name)]  # it may be abbreviated
        if len(meant) != 1:
            break  # CUDA sees no GPU from the first name on that means none
        found += meant
    return found


def at_most(count: int) -> int:
    """`count`, or as many GPUs as this process may use if they are fewer."""
    return min(count, len(visible()))


def from_zero() -> int:
    """How many GPUs this process may use, for a launcher that knows no more of them than their number.

    Raises UserError unless they are the first ones of this host.
    """
    ours = visible()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = ours == _listed()[: len(ours)]
    require(first, f"CUDA_VISIBLE_DEVICES={allowed}: this launcher takes GPUs from 0 on; use hydra/launcher=parallel")
    return len(ours)


def _listed() -> list[str]:
    """The UUIDs of the GPUs of this host."""
    try:
        return subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []


@contextmanager
def reserve_gpus(count: int, uuids: Sequence[str]) -> Iterator[list[str]]:
    """`count` of the GPUs, for this process and those it starts alone; waits until as many are free.

    Every job that asks here respects it, whoever started it; a process that dies gives its GPUs back. Raises UserError
    if the locks cannot be used.
    """
    with ExitStack() as locks:
        try:
            free = _lock(count, uuids, locks)
        except OSError as error:
            message = f"{error.filename}: cannot be used for GPU locks ({error.strerror})"
            raise UserError(f"{message}; set TMPDIR to a directory of your own") from error
        yield free


def _lock(count: int, uuids: Sequence[str], locks: ExitStack) -> list[str]:
    """`count` of the GPUs, once as many are free; `locks` holds them."""
    folder = private_directory(Path(tempfile.gettempdir(), f"golf-gpus-{os.getuid()}"))
    waiting = False
    while True:
        with ExitStack() as stack:
            # All or none of them, and one job at a time: two that hold half of what they need would wait forever.
            with locked(folder / "lock", PATIENCE):
                free: list[str] = []
                for uuid in uuids:
                    if len(free) < count and (descriptor := try_lock(folder / uuid)) is not None:
                        stack.callback(os.close, descriptor)
                        free.append(uuid)
            if len(free) == count:
                locks.enter_context(stack.pop_all())
                return free
        if not waiting:
            log.info("waiting for %d GPU(s), which other jobs hold", count - len(free))
            waiting = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
