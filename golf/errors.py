"""Errors that are printed as one line, and the exit codes of a job."""

from collections.abc import Iterator
from signal import Signals


class UserError(Exception):
    """Something in the configuration, the data or the files given is wrong.

    The message is one line that names the culprit and the remedy; the launcher prints it without a traceback and exits
    with `code`.
    """

    code = 2


class Diverged(UserError):
    """A number that must be finite is not: the configuration can be computed, but not with these numbers."""

    code = 3


class Ended(BaseException):
    """Carries the end of a job or a sweep through Hydra, which would print its own line about an Exception.

    `code` is the exit code: 1 if a process or a job failed, else that of the UserError.
    """

    def __init__(self, message: str, code: int):
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class Stopped(SystemExit):
    """A signal ended the job at a point from which it can be resumed. The exit code is a shell's, 128 + number."""

    def __init__(self, number: int):
        super().__init__(number)
        self.code = self.exit_code = 128 + number
        self.signal = Signals(number).name

    def __str__(self) -> str:
        return f"stopped by {self.signal}"


def require(condition: bool, otherwise: str) -> None:
    """Raise UserError with the message `otherwise` unless the condition holds."""
    if not condition:
        raise UserError(otherwise)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, the last one first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: BaseException) -> str:
    """The message on one line, preceded by the error's type unless it is a UserError."""
    message = " ".join(str(error).split())
    return message if isinstance(error, UserError) else f"{type(error).__name__}: {message}"


def excerpt(text: str, most: int = 500) -> str:
    """At most `most` characters of the text, control characters replaced by "?": safe to quote on a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])
