"""Paths of the package and its configuration, and expansion of paths that users give."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """The configuration's directory: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` expanded; unknown users are left as they are."""
    return Path(os.path.expanduser(path))


def absolute(path: str | Path, start: str | Path = "") -> Path:
    """The expanded path, absolute; relative to `start`, or to the working directory."""
    return Path(start, expanded(path)).absolute()
