"""Signals that end a job wait until what it has done is kept."""

import os
import signal
import threading
from typing import Any

from golf.errors import Stopped

# The last is what submitit has SLURM send before it takes a host away.
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
DEFAULT = (signal.SIG_DFL, signal.default_int_handler)  # what Python begins with


# For processes of a job, to end a step and save it; below `signal_delay_s` of conf/hydra/launcher/slurm.yaml.
SECONDS_TO_SAVE = 90
INTERRUPTED = "golf: interrupted; saving what is done (Ctrl-C again ends it at once)"


def wait_once() -> None:
    """An interrupt waits, which the terminal shows; the next one ends this process at once, whatever it does."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.write(2, f"\n{INTERRUPTED}\n".encode())  # no stream, in the middle of whose work a handler may be called


class Signals:
    """Holds back HELD between `hold` and `release`; `noted` is the number of the last one, or 0.

    One that is ignored stays ignored. Only a process's main thread can hold any.
    """

    def __init__(self) -> None:
        self.noted = 0
        self._before: dict[int, Any] = {}

    def hold(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in HELD:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None, self._note):
                self._before[number] = handler
                signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.noted = number
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:  # else the launcher does
            wait_once()

    def release(self) -> None:
        """The same, but what is noted has its effect now."""
        self.put_back()
        if number := self.noted:
            self.noted = 0
            signal.raise_signal(number)

    def heed(self, number: int) -> None:
        """Do what the signal would have done, had it not been held. Raises Stopped where that is to end the process; if
        there is a handler that returns, the signals are held again."""
        handler = self._before.get(number)
        held, self.noted = bool(self._before), 0
        self.put_back()
        if handler is None or handler in DEFAULT:
            raise Stopped(number)
        handler(number, None)
        if held:
            self.hold()

    def put_back(self) -> None:
        """Everybody has their handlers back, and what is noted is forgotten."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
