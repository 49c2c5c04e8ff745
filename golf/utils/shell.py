"""Words as they are typed in a shell."""

import os
import shlex
from pathlib import Path


def quote(word: str | Path) -> str:
    """The word, quoted where a POSIX shell needs it. What cannot be printed, such as a newline or a byte that is no
    UTF-8, is written as an escape, in the quotes `$'…'` of bash and zsh."""
    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    try:
        encoded = os.fsencode(character)
    except UnicodeEncodeError:  # half of a pair, as JSON may have it: no byte of a file's name
        encoded = character.encode(errors="surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in encoded)
