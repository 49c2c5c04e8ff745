"""Standard output and standard error that never fail those who write to them."""

import io
import os
import sys
from typing import Any


class _Lossy(io.FileIO):
    """A file descriptor; what it does not take is dropped, and `error` keeps the last reason."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            return len(data)


class _Text(io.TextIOWrapper):
    """Text for people: what the encoding lacks is written as escapes. Every line begins with `prefix`.

    With a prefix it is no terminal to those who ask, since others write lines there too.
    """

    def __init__(self, buffer: io.BufferedWriter, encoding: str, prefix: str):
        super().__init__(buffer, encoding, "backslashreplace", line_buffering=True)
        self._prefix = prefix
        self._in_line = False

    def isatty(self) -> bool:
        return not self._prefix and super().isatty()

    def write(self, text: str) -> int:
        if text:
            first = "" if self._in_line else self._prefix
            self._in_line = not text.endswith("\n")
            super().write(first + text[:-1].replace("\n", f"\n{self._prefix}") + text[-1])
        return len(text)


def protect(prefix: str = "") -> None:
    """Make it so for the rest of this process; once is enough. `prefix` is put before every line.

    What goes to a pipe that nobody reads any more, to a full disk or to a lost terminal is dropped (`failure` has the
    reason), and characters that the encoding lacks are written as escapes. A width or height of 0 in the environment
    means, here as elsewhere, that nobody knows it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__"):  # else somebody listens in this process
            raw = _Lossy(stream.fileno(), "w", closefd=False)
            setattr(sys, name, _Text(io.BufferedWriter(raw), stream.encoding, prefix))
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name, "").strip() == "0":
            del os.environ[name]


def failure(stream: Any) -> OSError | None:
    """Why something that was written to `stream` is lost, if it is."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Lossy) else None
