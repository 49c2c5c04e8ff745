"""A directory is one living process's at a time."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from golf.errors import UserError
from golf.events import Listener
from golf.lock import SECONDS_BETWEEN_LOOKS, try_lock

FILE = ".lock"
PATIENCE = 60.0  # seconds: a job that a scheduler took away may still be ending where it begins again


@contextmanager
def occupied(directory: Path, events: Listener) -> Iterator[None]:
    """`directory` for this process alone. Waits, and says so, while another has it that lives.

    Raises UserError if it goes on having it, and OSError if the directory cannot be written. It leaves no file behind,
    but where the process is killed; that file keeps nobody out.
    """
    path = directory / FILE
    end = None
    while (descriptor := _lock(path)) is None:
        if end is None:
            events.event("waiting_for_another_job", directory=str(directory), seconds=PATIENCE)
            end = time.monotonic() + PATIENCE
        if time.monotonic() > end:
            raise UserError(f"{directory}: another job is running there; wait for its end, or give another directory")
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def remove_if_empty(directory: Path) -> None:
    """Remove a directory in which there is nothing, or only what a process left that was killed while it had it."""
    with suppress(OSError):
        if [path.name for path in directory.iterdir()] == [FILE]:
            (directory / FILE).unlink()
        directory.rmdir()


def _lock(path: Path) -> int | None:
    """A descriptor of the file, locked until it is closed or its process dies; None if another process has it."""
    descriptor = try_lock(path)
    if descriptor is None:
        return None
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), path.lstat()):  # else who had it has just removed it
            return descriptor
    os.close(descriptor)
    return None
