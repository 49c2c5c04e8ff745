"""Locks between processes: files that are locked while their process lives. They keep their content."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.2


def open_lock(path: Path) -> int:
    """A descriptor of the lock file `path`, made if it is not there. Neither a link nor a pipe that somebody put there
    is followed or waited for. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file, and so no lock")
    return descriptor


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None while another process holds it. Raises OSError."""
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # a file system without locks keeps nobody out
            os.close(descriptor)
            raise
    return descriptor


@contextmanager
def locked(path: Path, seconds: float, waiting: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Around what one process at a time may do. Waits while another does, for at most `seconds`, and calls `waiting`
    once then. Raises BlockingIOError after that, and OSError for a lock that cannot be used."""
    end = time.monotonic() + seconds
    called = False
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() >= end:
            raise BlockingIOError(f"{path}: another process holds the lock")
        if not called:
            waiting()
            called = True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        os.close(descriptor)
