"""A directory is one living process's at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from golf.errors import UserError
from golf.events import Listener

FILE = ".lock"
PATIENCE = 60.0  # seconds: a job that a scheduler took away may still be ending where it begins again
SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def occupied(directory: Path, events: Listener) -> Iterator[None]:
    """`directory` for this process alone. Waits, and says so, while another has it that lives.

    Raises UserError if it goes on having it, and OSError if the directory cannot be written. It leaves no file behind,
    but where the process is killed; that file keeps nobody out.
    """
    path = directory / FILE
    end = None
    while (file := _lock(path)) is None:
        if end is None:
            events.event("waiting_for_another_job", directory=str(directory), seconds=PATIENCE)
            end = time.monotonic() + PATIENCE
        if time.monotonic() > end:
            raise UserError(f"{directory}: another job is running there; wait for its end, or give another directory")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def remove_if_empty(directory: Path) -> None:
    """Remove a directory in which there is nothing, or only what a process left that was killed while it had it."""
    with suppress(OSError):
        if [path.name for path in directory.iterdir()] == [FILE]:
            (directory / FILE).unlink()
        directory.rmdir()


def _lock(path: Path) -> TextIO | None:
    """The file, locked until it is closed or its process dies; None if another process has it."""
    file = open(path, "a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # else who had it has just removed it
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        return file  # a file system without locks keeps nobody out
    file.close()
    return None
