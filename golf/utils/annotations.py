"""Does a value from YAML or JSON fit a type annotation?

The annotations are int, float, bool, str, None, Any, Literal[...], list[X], dict[str, X], TypedDicts, whose values may
have keys that they do not name, and unions of them. Of these, `str | Path` is a path, which YAML has as a text
(golf.config.places).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict


def matches(value: Any, annotation: Any) -> bool:
    """Whether `value` may stand where `annotation` is asked for; raises TypeError for an annotation not listed above.

    A float is finite and may be written as an int; a bool is never a number.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(matches(value, argument) for argument in arguments)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in arguments)
    if origin is list:
        return isinstance(value, list) and all(matches(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            matches(key, arguments[0]) and matches(item, arguments[1]) for key, item in value.items()
        )
    if is_typeddict(annotation):
        parts = get_type_hints(annotation)
        whole = isinstance(value, dict) and annotation.__required_keys__ <= value.keys()
        return whole and all(matches(value[key], part) for key, part in parts.items() if key in value)
    if annotation is float:
        return type(value) is int or (type(value) is float and math.isfinite(value))
    if annotation in (int, bool, str, NoneType, None):
        return type(value) is (annotation or NoneType)
    if annotation is Any:
        return True
    if annotation is Path:
        return False  # YAML has none
    raise TypeError(f"a configuration cannot be checked against the annotation {annotation}")


def describe(annotation: Any) -> str:
    """The annotation in words, as in "int or null"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _either([describe(argument) for argument in arguments if argument is not str or Path not in arguments])
    if annotation is Path:
        return "path"
    if origin is Literal:
        return _either([str(option) for option in arguments])
    if origin is list:
        return f"list of {describe(arguments[0])}"
    if origin is dict:
        return f"mapping of {describe(arguments[0])} to {describe(arguments[1])}"
    if is_typeddict(annotation):
        return f"mapping with {', '.join(annotation.__annotations__)}"
    return "null" if annotation in (None, NoneType) else annotation.__name__


def show(value: Any) -> str:
    """The value as the user knows it from YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}, which is not finite"
    return repr(value)


def _either(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
