"""Text of a submission's author in its README.md."""

import re

from golf.utils.terminal import printable

INLINE = re.compile(r"[\\`*_\[\]<>&|~$#!]")  # HTML, links, tables, formulas and the rest, wherever it stands
AT_START = re.compile(r"^(?:(\d+)(?=[.)](?: |$))|(?=[-+=]))")  # lists and lines


def as_text(text: object) -> str:
    """One line of Markdown, of CommonMark and GitHub's, that shows `text` as it is; white space becomes a space."""
    line = INLINE.sub(r"\\\g<0>", printable(" ".join(str(text).split())))
    return AT_START.sub(r"\1\\", line)
