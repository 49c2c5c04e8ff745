"""What the commands beside the launcher have in common: `golf report` and its like."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from golf.errors import UserError
from golf.utils import stdio
from golf.utils.terminal import print_error


def exit_code(command: Callable[[], int]) -> int:
    """What the command returns; that of a UserError, which is told in one line."""
    stdio.protect()
    try:
        return command()
    except UserError as error:
        print_error(error)
        return error.code


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around imports of what the extra `name` brings: a UserError says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "golf":
            raise
        raise UserError(f"{error.name} is missing: pip install 'golf[{name}]'") from error
