"""The data sets that `python -m golf.data download` can fetch: download.yaml."""

import shlex
from pathlib import Path
from typing import Any

import yaml


def published() -> dict[str, dict[str, Any]]:
    """The entry of each data set, by name."""
    published: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("download.yaml").read_text(encoding="utf-8")
    )
    return published


def usual_place(name: str) -> Path:
    """The directory of a data set: download writes to it, and data=NAME reads it."""
    return Path("data", name)


def how_to_fetch(name: str | None, path: str | None) -> str | None:
    """The command that fetches the data set into the directory; None if it is not published."""
    if name not in published() or path is None:
        return None
    place = "" if Path(path) == usual_place(name) else f" --output {shlex.quote(path)}"
    return f"python -m golf.data download {name}{place}"
