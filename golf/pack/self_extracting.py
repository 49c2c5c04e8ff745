"""A Python file that extracts a program from itself and runs it.

The program is compressed, in a string literal whose characters are the bytes: the file's encoding is Latin-1. Base85,
which is ASCII, would take a quarter more.
"""

import lzma
import re

from golf.errors import UserError, excerpt, require

HEAD = b"# coding: latin-1\nimport lzma\nF=__file__\nP='"
TAIL = b"'\nexec(lzma.decompress(P.encode('latin-1')))\n"  # on a line of its own: a traceback does not show the payload
FILTER = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0}  # for text
# What a literal cannot hold as it is: the tokenizer refuses NUL and reads a carriage return as a newline.
ESCAPED = {b"\0": rb"\x00", b"\n": rb"\n", b"\r": rb"\r", b"'": rb"\'", b"\\": rb"\\"}
PLAIN = {escape: byte for byte, escape in ESCAPED.items()}

MAX_SCRIPT = 1 << 20  # bytes
MAX_PROGRAM = 1 << 22
MAX_MEMORY = 1 << 28  # that decompression may take


def self_extracting(program: str) -> bytes:
    """The file that runs `program`, in which F is the file's path."""
    return wrap(lzma.compress(program.encode(), lzma.FORMAT_ALONE, filters=[FILTER]))


def wrap(payload: bytes) -> bytes:
    """The file that runs what lzma.decompress makes of the payload."""
    return HEAD + re.sub(rb"[\0\n\r'\\]", lambda byte: ESCAPED[byte[0]], payload) + TAIL


def extracted(script: bytes) -> str:
    """The program in such a file, which is not run. Raises UserError if the file does anything but to run one program,
    or is larger than any of golf's."""
    require(len(script) <= MAX_SCRIPT, f"train_gpt.py: has more than {MAX_SCRIPT:,} bytes")
    literal = script.removeprefix(HEAD).removesuffix(TAIL)
    payload = re.sub(rb"\\(?:x00|[nr'\\])", lambda escape: PLAIN[escape[0]], literal)
    require(
        wrap(payload) == script, "train_gpt.py: is not a script that golf packed: it does more than to extract itself"
    )
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_MEMORY)
        program = decompressor.decompress(payload, max_length=MAX_PROGRAM)
        # What follows the end would be extracted too.
        one = decompressor.eof and not decompressor.unused_data
        require(one, f"train_gpt.py: holds more than one program of at most {MAX_PROGRAM:,} bytes")
        return program.decode()
    except (ValueError, lzma.LZMAError, EOFError) as error:
        raise UserError(f"train_gpt.py: cannot be extracted ({excerpt(str(error))})") from error
