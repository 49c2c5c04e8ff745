"""Fingerprints of files."""

import hashlib
from pathlib import Path

from golf.errors import UserError

Stamp = tuple[int, int, int]


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's content, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> Stamp:
    """Size, time of the last change and number of a file: another where it was changed. Raises UserError without it."""
    try:
        found = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return found.st_size, found.st_mtime_ns, found.st_ino
