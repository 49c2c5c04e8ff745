"""An override as it is typed on the command line: quoted for Hydra's grammar, and for the shell."""

import re
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from golf.paths import expanded
from golf.utils.shell import quote

PLAIN = re.compile(r"[\w.+@%/-]*/[\w.+@%/-]*", re.ASCII)  # a text for Hydra as it stands: the slash is in no number


def override(key: str, value: str | Path) -> str:
    """`key=value`, with which the key gets exactly this text."""
    return quote(f"{key}={hydra_value(value)}")


def hydra_value(value: str | Path) -> str:
    """The text as a value of Hydra's grammar, in which commas, brackets and `${…}` mean something."""
    text = str(value)
    if PLAIN.fullmatch(text):
        return text
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # to OmegaConf, which would look the name up
    return QuotedString(literal, Quote.double).with_quotes()


def with_home(argument: str) -> str:
    """An argument whose value is a path below `~`, which shells leave as it is there and Hydra cannot read, with the
    home directory; any other argument as it is."""
    key, _, value = argument.partition("=")
    path = value.strip("\"'")
    if not path.startswith("~") or "," in path:
        return argument
    return f"{key}={expanded(path) if key.startswith('-') else hydra_value(expanded(path))}"
