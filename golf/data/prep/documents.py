"""Documents from files, one by one: JSON lines with a "text" each (.jsonl); any other file is one text."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from golf.errors import UserError


def read_documents(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yields the name, for messages, and the text of each. Raises UserError for an unreadable file."""
    for file in files:
        try:
            if file.suffix == ".jsonl":
                with open(file, "rb") as lines:
                    for number, line in enumerate(lines, 1):
                        yield f"{file}: document {number}", _text(line, f"{file}: line {number}")
            else:
                yield str(file), file.read_bytes().decode()
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: is not UTF-8 text (byte {error.start}); a shard's name ends in .bin") from error


def _text(line: bytes, name: str) -> str:
    try:
        text: str = json.loads(line)["text"]
        text.encode()  # JSON can write half a character
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f'{name}: is no JSON object whose "text" is a text in UTF-8') from error
    return text
