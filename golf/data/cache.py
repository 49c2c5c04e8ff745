"""Directories that are expensive to make, made once and kept under a key of their content."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from golf.atomic import write_json
from golf.data.digest import sha256

MANIFEST = "manifest.json"


def cached(root: Path, key: str, build: Callable[[Path], None]) -> Path:
    """The directory `root/key`, filled by `build(directory)` unless an undamaged one is there.

    It appears whole or not at all; of several processes that want it at once, one builds and the others wait.
    Raises OSError if it has to be built and `root` cannot be written.
    """
    entry = root / key
    if not _whole(entry):
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{key}.lock"):
            if not _whole(entry):  # another process may have built it while this one waited
                _build(entry, build)
    return entry


def _build(entry: Path, build: Callable[[Path], None]) -> None:
    temporary = entry.with_name(f".{entry.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        build(temporary)
        write_json(temporary / MANIFEST, {file.name: sha256(file) for file in sorted(temporary.iterdir())})
        shutil.rmtree(entry, ignore_errors=True)
        os.rename(temporary, entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _whole(entry: Path) -> bool:
    try:
        manifest = json.loads((entry / MANIFEST).read_text())
        return all(sha256(entry / name) == digest for name, digest in manifest.items())
    except (OSError, ValueError):
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
