"""Where the package and its configuration lie, and where a path leads that somebody gives."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def config_dir() -> Path:
    """The directory with the configuration: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


def expanded(path: str | Path) -> Path:
    """The path with the home directory for a `~`; one of nobody's stays."""
    return Path(os.path.expanduser(path))


def absolute(path: str | Path, start: str | Path = "") -> Path:
    """The same, absolute; a relative one begins in `start`, or in the working directory."""
    return Path(start, expanded(path)).absolute()
