"""What a packed script holds, taken out without running it."""

import ast
import lzma
from base64 import b85decode
from typing import Any

from golf.errors import UserError, require
from golf.submit.pack import SELF_EXTRACTING, program

MAX_BYTES = 1 << 25  # of the program, and of what its decompression may take
MAX_MEMORY = 1 << 28


def unpack(script: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """The sources of its modules by name, and its configuration.

    Raises UserError unless packing these two gives, character by character, the program that the script extracts and
    runs: then it does nothing beside.
    """
    head, tail = SELF_EXTRACTING.split(b"%b")
    whole = script.startswith(head) and script.endswith(tail)
    require(whole, "train_gpt.py: is not a script that golf packed: it does more than to extract itself")
    text = _extracted(script[len(head) : len(script) - len(tail)])
    try:
        sources, config = (ast.literal_eval(line.partition("=")[2]) for line in text.split("\n")[:2])
        alike = program(sources, config) == text
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"train_gpt.py: holds no modules and configuration ({error})") from error
    require(alike, "train_gpt.py: does more than to load its modules and to run them")
    return sources, config


def _extracted(payload: bytes) -> str:
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_MEMORY)
        program = decompressor.decompress(b85decode(payload), max_length=MAX_BYTES)
        # What follows the end would be extracted too.
        one = decompressor.eof and not decompressor.unused_data
        require(one, f"train_gpt.py: holds more than one program of at most {MAX_BYTES:,} bytes")
        return program.decode()
    except (ValueError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"train_gpt.py: cannot be extracted ({error})") from error
