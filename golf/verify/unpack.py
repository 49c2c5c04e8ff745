"""Unpacks a packed script without running it."""

from typing import Any

from golf.errors import UserError, require
from golf.pack.pack import program
from golf.pack.self_extracting import extracted
from golf.utils.reading import parse_json


def unpack(script: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """The sources of the script's modules by name, and its configuration.

    Both are JSON, each on a line of its own; nothing is parsed as Python. Raises UserError unless packing these two
    gives, character by character, the program that the script extracts and runs: then it does nothing else.
    """
    text = extracted(script)
    lines = text.split("\n", 3)
    require(len(lines) == 4, "train_gpt.py: holds no modules and configuration")
    sources = _value("modules", lines[1], dict[str, str])
    config = _value("configuration", lines[2], dict[str, Any])
    require(program(sources, config) == text, "train_gpt.py: does more than load and run its modules")
    return sources, config


def _value(what: str, line: str, form: Any) -> Any:
    try:
        return parse_json(line.partition("=")[2].encode(), what, form)
    except UserError as error:
        raise UserError(f"train_gpt.py: holds no modules and configuration ({error})") from error
