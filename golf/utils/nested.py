"""Values in nested mappings, by dotted names."""

from collections.abc import Mapping
from typing import Any


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted name such as `train.seconds`; None where a part of the path is missing or null."""
    found: Any = values
    for key in name.split("."):
        found = None if found is None else found.get(key)
    return found
