"""What a cache holds, and what of it goes when it is too large."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from golf.cache.entries import Entry, claimed
from golf.errors import UserError

ENTRY = re.compile("[0-9a-f]{64}")  # the name of an entry: a digest
BESIDE = re.compile(rf"\.{ENTRY.pattern}\.(lock|tmp|golf\.tmp)|\.nfs[0-9a-f]+")  # NFS keeps what is open and removed


@dataclass(frozen=True)
class Held:
    """An entry: when it was last used, in seconds since 1970, and its bytes."""

    path: Path
    used: float
    size: int


def require_cache(root: Path) -> None:
    """Raise UserError if the directory holds anything that no cache of stages has."""
    if not root.is_dir():
        return
    foreign = sorted(
        path.name for path in root.iterdir() if not (ENTRY.fullmatch(path.name) or BESIDE.fullmatch(path.name))
    )
    if foreign:
        raise UserError(f"{root}: is no cache of golf (it holds {foreign[0]}); give a directory of its own")


def held(root: Path) -> list[Held]:
    """The entries, from the one last used on."""
    if not root.is_dir():
        return []
    entries = []
    for path in root.iterdir():
        if ENTRY.fullmatch(path.name) and Entry(path).is_own():
            with suppress(FileNotFoundError, PermissionError):  # removed just now, or closed to others
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
            with suppress(OSError), claimed(root, entry.path.name, seconds=0) as claim:
                claim.remove()
                removed.append(entry)
    return removed
