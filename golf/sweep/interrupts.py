"""Ctrl-C where the jobs of a sweep have processes of their own on this host, to which the terminal sends it too.

The launchers' own processes between sweeper and job would die of it, and take jobs with them that are being saved. So
it is blocked in all that the sweeper starts, and let through in jobs alone; the sweeper waits for these.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from golf.errors import Stopped
from golf.resume.signals import SECONDS_TO_SAVE, wait_once
from golf.sweep import status

LAUNCHERS = ("JoblibLauncher", "LocalLauncher")
SECONDS_BETWEEN_LOOKS = 0.1
T = TypeVar("T")

_interrupted = False  # a job of this process was


@contextmanager
def after_jobs(launcher: Any, directory: Path) -> Iterator[None]:
    """In the sweeper in `directory`, a KeyboardInterrupt comes when the jobs that are running have ended. launcher: as
    Hydra has it configured."""
    if not launcher._target_.endswith(LAUNCHERS):
        yield
        return
    began = time.time()

    def running() -> bool:
        found = [status.read(path.parent) for path in directory.rglob(status.FILE)]
        return any(job is not None and job["state"] == "running" and job["started"] >= began for job in found)

    def interrupted(number: int, frame: Any) -> None:
        wait_once()
        end = time.monotonic() + SECONDS_TO_SAVE
        while running() and time.monotonic() < end:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    # Takes the signal in the place of this thread, from which new processes get what is blocked.
    ended = threading.Event()
    threading.Thread(target=ended.wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        ended.set()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)


def run_unless_interrupted(launcher: Any, work: Callable[[], T]) -> T | None:
    """Run a job in a process that does one after the other: none after an interrupt, which ends a job with None."""
    global _interrupted
    if not launcher._target_.endswith(LAUNCHERS):
        return work()
    if _interrupted:
        return None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return work()
    except (KeyboardInterrupt, Stopped) as error:
        if isinstance(error, Stopped) and error.signal != "SIGINT":
            raise
        _interrupted = True
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
