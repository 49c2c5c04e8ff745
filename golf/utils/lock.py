"""Locks between processes: files that are locked while their process lives. They keep their content.

filelock is not used because it raises, or falls back to files whose existence is the lock, where a file system does not
support flock; a lock here then keeps no process out and ends no job.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from golf.utils.writing import regular

SECONDS_BETWEEN_LOOKS = 0.2


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None while another process holds it. Raises OSError."""
    descriptor = regular(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks keeps nobody out
        return descriptor
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), path.lstat()):  # else who held it has just removed it
            return descriptor
    os.close(descriptor)
    return None


@contextmanager
def locked(path: Path, seconds: float, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Around what one process at a time may do. Waits while another does, for at most `seconds`, and calls `waiting`
    once then. Raises BlockingIOError after that, and OSError for a lock that cannot be used."""
    end = time.monotonic() + seconds
    called = False
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() >= end:
            raise BlockingIOError(errno.EAGAIN, "another process holds the lock", str(path))
        if not called:
            waiting()
            called = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        os.close(descriptor)
