"""Signals that end a job wait until what it has done is kept."""

import signal
import threading
from typing import Any

from golf.errors import Stopped

HELD = (signal.SIGTERM, signal.SIGUSR2)  # the second is what submitit has SLURM send before it takes a host away


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
        if not callable(handler):
            raise Stopped(number)
        handler(number, None)
        if held:
            self.hold()

    def put_back(self) -> None:
        """Everybody has their handlers back, and what is noted is forgotten."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
