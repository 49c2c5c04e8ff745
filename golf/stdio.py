"""Standard output and standard error that never fail those who write to them."""

import io
import os
import sys
from typing import Any


class _Lossy(io.FileIO):
    """A file descriptor that from its first error on is the null device's; `error` keeps that error."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())  # for the processes that this one starts, too
            os.close(null)
            return len(data)


def protect() -> None:
    """Make it so for the rest of this process; once is enough.

    What goes to a pipe that nobody reads any more, to a full disk or to a lost terminal is dropped (`failure` has the
    reason), and characters that the encoding lacks are written as escapes. A width or height of 0 in the environment
    means, here as elsewhere, that nobody knows it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__"):  # else somebody listens in this process
            raw = io.BufferedWriter(_Lossy(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=True))
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name, "").strip() == "0":
            del os.environ[name]


def failure(stream: Any) -> OSError | None:
    """Why the rest of what is written to `stream` is lost, if it is."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Lossy) else None
