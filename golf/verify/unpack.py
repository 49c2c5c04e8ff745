"""What a packed script holds, taken out without running it."""

import lzma
from base64 import b85decode
from typing import Any

from golf.errors import UserError, excerpt, require
from golf.pack.pack import SELF_EXTRACTING, program
from golf.utils.reading import parse_json

MAX_SCRIPT = 1 << 20  # bytes
MAX_BYTES = 1 << 22  # of the program
MAX_MEMORY = 1 << 28  # that its decompression may take


def unpack(script: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """The sources of its modules by name, and its configuration.

    Both are JSON, each on a line of its own; nothing is parsed as Python. Raises UserError unless packing these two
    gives, character by character, the program that the script extracts and runs: then it does nothing beside.
    """
    require(len(script) <= MAX_SCRIPT, f"train_gpt.py: has more than {MAX_SCRIPT:,} bytes")
    head, tail = SELF_EXTRACTING.split(b"%b")
    whole = script.startswith(head) and script.endswith(tail)
    require(whole, "train_gpt.py: is not a script that golf packed: it does more than to extract itself")
    text = _extracted(script[len(head) : len(script) - len(tail)])
    lines = text.split("\n", 3)
    require(len(lines) == 4, "train_gpt.py: holds no modules and configuration")
    sources = _value("modules", lines[1], dict[str, str])
    config = _value("configuration", lines[2], dict[str, Any])
    require(program(sources, config) == text, "train_gpt.py: does more than to load its modules and to run them")
    return sources, config


def _value(what: str, line: str, form: Any) -> Any:
    try:
        return parse_json(line.partition("=")[2].encode(), what, form)
    except UserError as error:
        raise UserError(f"train_gpt.py: holds no modules and configuration ({error})") from error


def _extracted(payload: bytes) -> str:
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_MEMORY)
        program = decompressor.decompress(b85decode(payload), max_length=MAX_BYTES)
        # What follows the end would be extracted too.
        one = decompressor.eof and not decompressor.unused_data
        require(one, f"train_gpt.py: holds more than one program of at most {MAX_BYTES:,} bytes")
        return program.decode()
    except (ValueError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"train_gpt.py: cannot be extracted ({excerpt(str(error))})") from error
