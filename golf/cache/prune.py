"""What a cache holds, and what of it goes when it is too large."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from golf.cache.entries import claimed


@dataclass(frozen=True)
class Held:
    """An entry: when it was last used, in seconds since 1970, and its bytes."""

    path: Path
    used: float
    size: int


def held(root: Path) -> list[Held]:
    """The entries, from the one last used on."""
    if not root.is_dir():
        return []
    entries = []
    for path in root.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            with suppress(FileNotFoundError):  # another job has just removed it
                size = sum(file.stat().st_size for file in path.iterdir())
                entries.append(Held(path, path.stat().st_mtime, size))
    return sorted(entries, key=lambda entry: entry.used, reverse=True)


def prune(root: Path, limit: int) -> list[Held]:
    """Remove the entries that were not used for longest until the rest has at most `limit` bytes; those removed."""
    removed, total = [], 0
    for entry in held(root):
        total += entry.size
        if total > limit:
            # Not while a job uses it; and what cannot be removed stays.
            with suppress(OSError), claimed(root, entry.path.name, wait=False):
                shutil.rmtree(entry.path, ignore_errors=True)
                removed.append(entry)
    return removed
