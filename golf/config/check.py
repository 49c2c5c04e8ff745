"""The composed configuration against the code that will read it, before anything runs."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from golf.build import resolve
from golf.config.names import no_such
from golf.config.schema import Component, Root
from golf.errors import UserError, require
from golf.utils.annotations import describe, matches, show


def check(config: Mapping[str, Any]) -> None:
    """Raise UserError for the first thing in `config` that is unknown, missing, of the wrong type or no seed.

    The root is held against `golf.config.schema.Root`; each component against the keyword-only parameters of the class
    that its `_target_` names. However a key got in, it is found here. `config` is resolved: plain dicts and lists.
    """
    _check_arguments(config, Root, prefix="", reader="every run")
    require(0 <= config["seed"] < 2**63, f"seed={config['seed']} must be from 0 to 2**63 - 1")


def check_component(key: str, component: Any) -> None:
    """Raise UserError for the first thing in the component at `key` that its class does not take."""
    if component is None:
        raise UserError(f"{key}: no option is chosen; choose one with {key}=OPTION")
    if not isinstance(component, Mapping) or not isinstance(component.get("_target_"), str):
        raise UserError(f"{key}: expected a mapping with a _target_, got {show(component)}")
    target = component["_target_"]
    try:
        cls = resolve(target)
    except UserError as error:
        raise UserError(f"{key}.{error}") from error
    if not inspect.isclass(cls):
        raise UserError(f"{key}._target_: {target} is not a class")
    arguments = {name: value for name, value in component.items() if name != "_target_"}
    _check_arguments(arguments, cls, prefix=f"{key}.", reader=target)


def _check_arguments(arguments: Mapping[str, Any], cls: type, prefix: str, reader: str) -> None:
    parameters = {parameter.name: parameter for parameter in keyword_only(cls)}
    for name in arguments:
        if name not in parameters:
            raise UserError(no_such("key", f"{prefix}{name}", str(name), parameters))
    for name, parameter in parameters.items():
        if name in arguments:
            _check_value(f"{prefix}{name}", arguments[name], parameter.annotation)
        elif parameter.default is parameter.empty:
            raise UserError(f"{prefix}{name}: missing; {reader} needs it")


def _check_value(key: str, value: Any, annotation: Any) -> None:
    for path, leaf in _leaves(key, value):
        if leaf == "???":
            raise UserError(f"{path}: must be given; add {path}=VALUE to the command line")
    if annotation is Component:
        return check_component(key, value)
    try:
        if not matches(value, annotation):
            raise UserError(f"{key}: expected {describe(annotation)}, got {show(value)}")
    except TypeError as error:
        raise UserError(f"{key}: {error}") from error


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, value


def keyword_only(cls: type) -> Iterator[inspect.Parameter]:
    """The parameters that a configuration may set, annotations evaluated; one without annotation takes anything."""
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield parameter.replace(annotation=_evaluated(parameter, cls))


def _evaluated(parameter: inspect.Parameter, cls: Callable[..., Any]) -> Any:
    # Only these annotations, not the whole signature: the others may name what is imported for type checkers alone.
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    return eval(annotation, inspect.unwrap(cls.__init__).__globals__) if isinstance(annotation, str) else annotation
