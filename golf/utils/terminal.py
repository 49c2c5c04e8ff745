"""What is printed holds names and messages of other people's, which are text and nothing else."""

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text


def printable(text: str) -> str:
    r"""`text` with what would steer a terminal, or be invisible there, as Python writes it (\x1b); lines stay lines."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


def plain_text(text: str) -> "Text":
    """The same for rich, which would find markup in a str."""
    from rich.text import Text  # heavy for a module that every start of Hydra imports

    return Text(printable(text))


def print_error(message: object) -> None:
    print(f"golf: error: {printable(str(message))}", file=sys.stderr)


class Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
