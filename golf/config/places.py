"""Values that are paths, as their annotations say (`str | Path`): relative to where the command was given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from golf.build import resolve
from golf.config.check import keyword_only
from golf.config.schema import Component, Root
from golf.paths import absolute


def with_absolute_paths(config: Mapping[str, Any], start: str) -> dict[str, Any]:
    """A checked configuration with every path in it absolute, so that it means the same in any working directory and
    to who reads it later. `~` is the home directory; relative paths begin in `start`."""
    return _placed(config, Root, start)


def _placed(arguments: Mapping[str, Any], cls: type, start: str) -> dict[str, Any]:
    placed = dict(arguments)
    for parameter in keyword_only(cls):
        value: Any = placed.get(parameter.name)
        if parameter.annotation is Component:
            placed[parameter.name] = _placed(value, resolve(value["_target_"]), start)
        elif value and Path in get_args(parameter.annotation):
            placed[parameter.name] = str(absolute(value, start))
    return placed
