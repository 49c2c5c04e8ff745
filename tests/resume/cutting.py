"""Ends that come at any moment, in the middle of this process."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from golf.paths import PACKAGE
from golf.resume.signals import HELD


class Cut(BaseException):
    """Nothing more happens, as after SIGKILL; but what unwinds, unwinds."""


class Calls:
    """Counts this thread's calls of golf's functions inside `counted`, and cuts it off at the one of number `at`."""

    def __init__(self, at: int | None = None):
        self.at = at
        self.made = 0

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            self.made += 1
            if self.made == self.at:
                raise Cut

    @contextmanager
    def counted(self) -> Iterator[None]:
        handlers = {number: signal.getsignal(number) for number in HELD}
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            for number, handler in handlers.items():  # a process that is gone has none
                signal.signal(number, handler)
