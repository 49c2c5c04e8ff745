"""Files and directories that are whole or absent."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from golf.utils.disk import room_for

UNFINISHED = ".golf.tmp"  # ends the name of a directory that is being made; no other program gives such
TEMPORARY = "new"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path, in a directory of its own beside `path`, that takes its place when the block ends well, and
    vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Where nobody can have put anything: what is opened there follows no link.
    with tempfile.TemporaryDirectory(".tmp", f".{path.name}.", path.parent, ignore_cleanup_errors=True) as directory:
        temporary = Path(directory, TEMPORARY)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """The same for a directory, of which one process at a time may be making one. Raises OSError if `path` is there at
    the end, and not empty."""
    temporary = path.with_name(f".{path.name}{UNFINISHED}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN is refused, since no strict reader takes it.

    Raises UserError if the disk is full.
    """
    with room_for(path), atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_yaml(path: Path, value: Any) -> None:
    """The same as YAML, with the keys in their order."""
    import yaml  # which a packed script does without

    with room_for(path), atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
