"""Configuration to object: a mapping names the class it builds (`_target_`), its other keys are the arguments."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from golf.errors import UserError


def resolve(target: str) -> Any:
    """The object that a dotted path such as `golf.codec.brotli.Brotli` names; raises UserError if there is none."""
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError, SystemExit) as error:
        raise UserError(f"_target_: {target} cannot be imported ({error})") from error


def module_of(spec: Mapping[str, Any]) -> str:
    """The module of the class that a configuration names."""
    target: str = spec["_target_"]
    return target.rpartition(".")[0]


def build(spec: Mapping[str, Any], *inputs: Any) -> Any:
    """Build what `spec` names.

    Its keys are the keyword-only parameters of the class; what a stage hands over at run time (`inputs`) are the
    positional ones. So the keyword-only part of a signature is exactly what may stand in a YAML file. Raises UserError
    if the class refuses a value.
    """
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    try:
        return resolve(spec["_target_"])(*inputs, **arguments)
    except ValueError as error:  # how PyTorch's classes, for one, say that an argument is out of range
        raise UserError(f"{spec['_target_']}: {error}") from error
