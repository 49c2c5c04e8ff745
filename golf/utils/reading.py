"""Files that others may have written: read within bounds, or refused in one line.

JSON is read strictly: a regular file of bounded size, in UTF-8, without NaN, with integers that 64 bits hold,
nested MAX_DEPTH deep at most, and of the form that the reader counts on: an annotation of golf.utils.annotations.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints, is_typeddict

from golf.errors import UserError, excerpt, require
from golf.utils.annotations import describe, matches, show

MAX_BYTES = 1 << 24  # takes at most some thirty times as much memory
MAX_YAML_BYTES = 1 << 18  # which is read a hundred times more slowly
MAX_DEPTH = 64
MAX_NUMBER = 1e100  # no sum or square of such overflows
MAX_SHOWN = 80  # characters of a value that is not what it should be


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """A regular file to read. Raises UserError if it is none or cannot be read, and does not wait for another."""
    try:
        file = open(path, "rb", opener=_at_once)  # noqa: SIM115
    except (OSError, ValueError) as error:  # ValueError: what cannot be a path
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    with file:
        require(stat.S_ISREG(os.fstat(file.fileno()).st_mode), f"{path}: is no regular file")
        yield file


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file. Raises UserError if it is none, is larger, or cannot be read."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        require(size <= max_bytes, f"{path}: has more than {max_bytes:,} bytes")
        return file.read(size)


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """The same in UTF-8."""
    try:
        return read_bytes(path, max_bytes).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8 (byte {error.start})") from error


def read_json(path: Path, form: Any = Any, max_bytes: int = MAX_BYTES, allow_nan: bool = False) -> Any:
    """The value in a JSON file. Raises UserError, which names the file and the key, unless it has the form."""
    return parse_json(read_bytes(path, max_bytes), str(path), form, allow_nan)


def read_yaml(path: Path, form: Any = Any) -> Any:
    """The same of a YAML file."""
    import yaml  # which those who read JSON do not need

    text = read_text(path, MAX_YAML_BYTES)
    try:
        value = yaml.safe_load(text)
    except Exception as error:  # YAMLError, but also what the constructors of numbers and dates raise
        raise UserError(f"{path}: cannot be read as YAML ({excerpt(str(error))})") from error
    return _checked(value, str(path), form, most=len(text))


def parse_json(data: bytes, name: str, form: Any = Any, allow_nan: bool = False) -> Any:
    """The value of a JSON text; `name` is that of messages. Raises UserError unless it has the form."""
    strict: dict[str, Any] = {} if allow_nan else {"parse_constant": _no_number, "parse_float": _float}
    try:
        value = json.loads(data.decode(), parse_int=_int, **strict)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: cannot be read as JSON ({excerpt(str(error))})") from error
    return _checked(value, name, form, most=len(data))


def _checked(value: Any, name: str, form: Any, most: int) -> Any:
    require(_is_flat(value, most), f"{name}: is nested more than {MAX_DEPTH} deep")
    return shaped(value, name, form)


def shaped(value: Any, name: str, form: Any) -> Any:
    """The value. Raises UserError, which says where, unless it has the form."""
    if is_typeddict(form) and isinstance(value, dict):
        missing = sorted(form.__required_keys__ - value.keys())
        require(not missing, f"{name}: has no {', '.join(missing)}")
        parts = [(f"{name}: {key}", value[key], part) for key, part in get_type_hints(form).items() if key in value]
    else:
        parts = [(name, value, form)]
    for where, part, wanted in parts:
        if not matches(part, wanted):
            got = excerpt(show(part), MAX_SHOWN)
            raise UserError(f"{where}: expected {excerpt(describe(wanted))}, got {got}")
    return value


def _is_flat(value: Any, most: int) -> bool:
    """Whether it is not too deep; YAML's aliases may also make more of a text than the `most` values it could hold."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [part for part in level if isinstance(part, dict | list)]
        if sum(map(len, level)) > most:
            return False
        level = [inner for part in level for inner in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return True
    return False


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe would wait for somebody to write to it


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number that is read")


def _float(text: str) -> float:
    value = float(text)
    return value if abs(value) <= MAX_NUMBER else _no_number(text[:MAX_SHOWN])


def _int(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text[:MAX_SHOWN]} does not fit 64 bits")
    return value
