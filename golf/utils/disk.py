"""A disk that is full, told in one line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from golf.errors import UserError, causes

# No space left, none left for this user, or a limit on the size of a file.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def room_for(path: Path | str) -> Iterator[None]:
    """Around what writes `path`: raises UserError if the disk is full. What is there already is whole."""
    try:
        yield
    except Exception as error:
        full = next((each for each in causes(error) if isinstance(each, OSError) and each.errno in FULL), None)
        if full is None or isinstance(error, UserError):
            raise
        # A file that is written beside `path` is to take its place.
        beside = full.filename is None or Path(full.filename).parent == Path(path).parent
        where = path if beside else full.filename
        raise UserError(f"{where}: cannot be written ({full.strerror}); make room there, and run again") from error
