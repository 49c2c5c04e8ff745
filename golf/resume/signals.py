"""Signals that end a job wait until its state is saved."""

import os
import signal
import threading
from typing import Any

from golf.errors import Stopped

# submitit has SLURM send the last one before it takes a host away.
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
DEFAULT = (signal.SIG_DFL, signal.default_int_handler)  # Python's own

# For the processes of a job to end a step and save; below `signal_delay_s` of conf/hydra/launcher/slurm.yaml.
SECONDS_TO_SAVE = 90
INTERRUPTED = "golf: interrupted; saving what is done (Ctrl-C again ends it at once)"


def wait_once() -> None:
    """Print that an interrupt waits; the next one ends this process at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.write(2, f"\n{INTERRUPTED}\n".encode())  # not sys.stderr: a handler may interrupt its own write


class Signals:
    """Holds back the signals HELD from `hold` to `release`; `noted` is the number of the last one received, or 0.

    A signal that is ignored stays ignored. Only the main thread of a process can hold signals.
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
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:  # otherwise the launcher does this
            wait_once()

    def release(self) -> None:
        """Restore the handlers; a signal that waits takes effect now."""
        self.restore()
        if number := self.noted:
            self.noted = 0
            signal.raise_signal(number)

    def deliver(self, number: int) -> None:
        """Let a held signal take effect. Raises Stopped if that ends the process; if its handler returns, the signals
        are held again."""
        handler = self._before.get(number)
        held, self.noted = bool(self._before), 0
        self.restore()
        if handler is None or handler in DEFAULT:
            raise Stopped(number)
        handler(number, None)
        if held:
            self.hold()

    def restore(self) -> None:
        """Restore the handlers of before `hold`; a signal that waits stays noted."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
