"""The one error that is the user's to mend."""


class UserError(Exception):
    """Something in the configuration, the data or the files given is wrong.

    The message is one line that names the culprit and what to do; the launcher prints it without a traceback and
    exits with code 2.
    """


def require(condition: bool, otherwise: str) -> None:
    """Raise UserError with the message `otherwise` unless the condition holds."""
    if not condition:
        raise UserError(otherwise)
