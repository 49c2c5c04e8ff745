"""The errors that are told in one line, and how a job ends with them."""

from collections.abc import Iterator
from signal import Signals


class UserError(Exception):
    """Something in the configuration, the data or the files given is wrong.

    The message is one line that names the culprit and what to do; the launcher prints it without a traceback and
    exits with `code`.
    """

    code = 2


class Diverged(UserError):
    """A number that must be finite is not: the configuration can be computed, but not with these numbers."""

    code = 3


class Ended(BaseException):
    """The end of a job or a sweep on its way through Hydra, which would print a line of its own about an Exception.

    `code` is the exit code: 1 if a process or a job failed, that of the UserError for one.
    """

    def __init__(self, message: str, code: int):
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class Stopped(SystemExit):
    """A signal ended the job where it can go on later. The exit code is the one that a shell gives."""

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
    """The error and what it came from, from the last one on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: BaseException) -> str:
    """Its message in one line, after its kind if it is not meant for the user."""
    message = " ".join(str(error).split())
    return message if isinstance(error, UserError) else f"{type(error).__name__}: {message}"


def excerpt(text: str, most: int = 500) -> str:
    """At most so many characters of it, in one line and without what a terminal obeys: it may quote a file."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])
