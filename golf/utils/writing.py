"""Paths where others may have put something: written without following a link or waiting at a pipe."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from golf.errors import UserError

NOT_REGULAR = (errno.ELOOP, errno.ENXIO, errno.EISDIR)  # what opening a link, a pipe and a directory ends with


def regular(path: str | Path, flags: int) -> int:
    """A descriptor of a regular file, an `opener` of open(). Raises OSError if there is something else."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in NOT_REGULAR:
            raise _not_regular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def _not_regular(path: str | Path) -> OSError:
    return OSError(errno.EINVAL, "is no regular file", str(path))


def private_directory(path: Path) -> Path:
    """`path`, made if it is not there, as a directory that no other user can write. Raises OSError if it is not."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
    if not private:
        raise PermissionError(errno.EPERM, "others may write there", str(path))
    return path


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Around what opens `path`: raises UserError for an OSError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); remove it, or give another directory"
        ) from error
