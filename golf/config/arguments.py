"""Options on the command line that Hydra does not have, in one line."""

from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from golf.errors import UserError


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise UserError where Hydra's parser would print its usage and end the process."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    _, unknown = parser.parse_known_args(arguments)
    for argument in unknown:
        if not argument.startswith("-"):
            raise UserError(f"{argument}: stands behind an option; give options first, then all values")
        if "=" in argument:
            value = argument.lstrip("-")
            agent = "in the command of a W&B sweep, ${args_no_hyphens} in the place of ${args}"
            raise UserError(f"{argument}: a value has no hyphens; give {value} ({agent})")
        raise UserError(f"{argument}: no such option; python -m golf --hydra-help lists them")


def _refuse(message: str) -> NoReturn:
    raise UserError(message)
