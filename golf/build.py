"""Configuration to object: a mapping names the class it builds (`_target_`), its other keys are the arguments."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from golf.errors import UserError


def resolve(target: str) -> Any:
    """The object at a dotted path such as `golf.codec.brotli.Brotli`. Raises UserError if it cannot be imported."""
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

    Its keys are the keyword-only parameters of the class; `inputs`, which a stage passes at run time, are the
    positional ones. So the keyword-only part of a signature is exactly what a YAML file may set. Raises UserError
    if the class refuses a value.
    """
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    try:
        return resolve(spec["_target_"])(*inputs, **arguments)
    except ValueError as error:  # raised by PyTorch's optimizers, for one, if an argument is out of range
        raise UserError(f"{spec['_target_']}: {error}") from error
