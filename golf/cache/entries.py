"""Directories that are expensive to make, made once and kept under a key of their content."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from golf.errors import UserError
from golf.paths import expanded
from golf.utils.atomic import atomic_directory, write_json
from golf.utils.hashing import sha256
from golf.utils.lock import locked
from golf.utils.reading import read_json
from golf.utils.writing import private_directory

MANIFEST = "manifest.json"
PATIENCE = 3600.0  # seconds: longer than what is cached takes to make


@dataclass(frozen=True)
class Entry:
    """A directory of a cache, of files alone. It appears whole or not at all; what was damaged since counts as absent.

    `read_only`: this process does not hold its lock, and so does not fill it.
    """

    path: Path
    read_only: bool = False

    def is_whole(self) -> bool:
        try:
            manifest = read_json(self.path / MANIFEST, dict[str, str])
            files = {self.path / name: digest for name, digest in manifest.items()}
            inside = all(path.parent == self.path and path.is_file() for path in files)
            return inside and all(sha256(path) == digest for path, digest in files.items())
        except (OSError, UserError):
            return False

    def is_own(self) -> bool:
        """Whether this program made it, by its manifest, and all that is in it."""
        try:
            manifest = read_json(self.path / MANIFEST, dict[str, str])
            return not self.path.is_symlink() and set(os.listdir(self.path)) <= {MANIFEST, *manifest}
        except (OSError, UserError):
            return False

    def fill(self, build: Callable[[Path], None]) -> None:
        """Let `build(directory)` write the content, in the place of what is damaged. Raises OSError if it cannot be
        written, or if what is there is no entry."""
        if self.read_only:
            raise BlockingIOError(errno.EAGAIN, "another process holds it, or it may only be read", str(self.path))
        with atomic_directory(self.path) as temporary:
            build(temporary)
            write_json(temporary / MANIFEST, {file.name: sha256(file) for file in sorted(temporary.iterdir())})
            if self.path.exists():
                self.remove()

    def remove(self) -> None:
        """Raises OSError, and removes nothing, if there is no such directory or there are others in it."""
        files = sorted(self.path.iterdir(), key=lambda path: path.name == MANIFEST)  # which says whose they are
        for path in files:
            if path.is_dir() and not path.is_symlink():
                raise OSError(errno.ENOTEMPTY, "holds a directory, as no entry does", str(self.path))
        for path in files:
            path.unlink(missing_ok=True)
        self.path.rmdir()


@contextmanager
def claimed(
    root: Path, key: str, seconds: float = PATIENCE, waiting: Callable[[], object] = lambda: None
) -> Iterator[Entry]:
    """The entry `root/key`, for this process alone: others that want it wait for so many seconds, call `waiting` once
    then, and get a BlockingIOError at last.

    Raises OSError if `root` cannot be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / f".{key}.lock", seconds, waiting):
        yield Entry(root / key)


def cached(
    root: Path,
    key: str,
    build: Callable[[Path], None],
    seconds: float = PATIENCE,
    waiting: Callable[[], object] = lambda: None,
) -> Path:
    """The directory `root/key`, filled by `build(directory)` unless an undamaged one is there.

    Of several processes that want it at once, one builds and the others wait as in `claimed`. Raises OSError if it has
    to be built and `root` cannot be written.
    """
    if not Entry(root / key).is_whole():
        with claimed(root, key, seconds, waiting) as entry:
            if not entry.is_whole():  # another process may have built it while this one waited
                entry.fill(build)
    return root / key


def user_cache(directory: str | Path | None, part: str) -> Path:
    """`directory`, or this program's folder `part` in the user's cache, which lies among temporary files for a user
    without a home. Raises OSError if there is no place for it that is the user's own."""
    if directory is not None:
        return expanded(directory)
    try:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "golf", part)
        path.mkdir(parents=True, exist_ok=True)
        return path
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        return private_directory(Path(tempfile.gettempdir(), f"golf-{os.getuid()}")) / part
