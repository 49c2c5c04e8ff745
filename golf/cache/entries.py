"""Directories that are expensive to make, made once and kept under a key of their content."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from golf.atomic import replacing_directory, write_json
from golf.data.digest import sha256
from golf.errors import UserError
from golf.lock import locked
from golf.paths import expanded
from golf.reading import read_json

MANIFEST = "manifest.json"
PATIENCE = 3600.0  # seconds: longer than what is cached takes to make


@dataclass(frozen=True)
class Entry:
    """A directory of a cache. It appears whole or not at all; what was damaged since counts as absent."""

    path: Path

    def is_whole(self) -> bool:
        try:
            manifest = read_json(self.path / MANIFEST, dict[str, str])
            files = {self.path / name: digest for name, digest in manifest.items()}
            inside = all(path.parent == self.path and path.is_file() for path in files)
            return inside and all(sha256(path) == digest for path, digest in files.items())
        except (OSError, UserError):
            return False

    def fill(self, build: Callable[[Path], None]) -> None:
        """Let `build(directory)` write the content."""
        with replacing_directory(self.path) as temporary:
            build(temporary)
            write_json(temporary / MANIFEST, {file.name: sha256(file) for file in sorted(temporary.iterdir())})


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


def cached(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """The directory `root/key`, filled by `build(directory)` unless an undamaged one is there.

    Of several processes that want it at once, one builds and the others wait. Raises OSError if it has to be built and
    `root` cannot be written.
    """
    if not Entry(root / key).is_whole():
        with claimed(root, key) as entry:
            if not entry.is_whole():  # another process may have built it while this one waited
                entry.fill(build)
    return root / key


def user_cache(directory: str | Path | None, part: str) -> Path:
    """`directory`, or this program's folder `part` in the user's cache."""
    if directory is not None:
        return expanded(directory)
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home, "golf", part)
    try:
        return Path.home() / ".cache" / "golf" / part
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir(), f"golf-{os.getuid()}", part)
