"""What can be switched in folders of configuration: each option of each group, and each key of few values."""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml

from golf.build import resolve
from golf.config.schema import Component, Root


class Inventory:
    """`options` (`codec=lzma` → the content of its file), `keys` (`seed`, `golf.codec.lzma.Lzma.preset`), and their
    `toggles`: all options, and keys that are true or false, one of a few names (Literal), or a number or null.

    A key goes by the class that reads it: the class of another option may ignore one of the same name.
    """

    def __init__(self, *folders: Path):
        files = {path.relative_to(folder): path for folder in folders for path in folder.rglob("*.yaml")}
        contents = {name: yaml.safe_load(path.read_text(encoding="utf-8")) or {} for name, path in files.items()}
        self.options = {f"{name.parent}={name.stem}": content for name, content in contents.items() if name.parent.name}
        self.keys = {key for key, kind in _parameters(Root) if kind is not Component}
        self.toggles = {*self.options, *(key for key, kind in _parameters(Root) if _is_toggle(kind))}
        for name, content in contents.items():
            if name.parts[0] == "experiment":
                continue  # what it sets are keys of other files
            target = self.target(str(name.parent), name.stem)
            for key, kind in _parameters(resolve(target)) if target else ():
                self.keys.add(f"{target}.{key}")
                if _is_toggle(kind):
                    self.toggles.add(f"{target}.{key}")
            for key, value in _leaves(content, target or ".".join(name.parent.parts)):
                self.keys.add(key)
                if isinstance(value, bool):
                    self.toggles.add(key)

    def target(self, group: str, option: str) -> str | None:
        """The class that an option names, by itself or by the option that it builds on; None for one of Hydra's."""
        content = self.options.get(f"{group}={option}", {})
        if group.startswith("hydra/"):
            return None
        if "_target_" in content:
            return content["_target_"]
        bases = (base for base in content.get("defaults", []) if isinstance(base, str) and base != "_self_")
        return next((self.target(group, base) for base in bases), None)


def _parameters(cls: type) -> Iterator[tuple[str, Any]]:
    """Names and annotations of what a configuration may set."""
    for parameter in inspect.signature(cls, eval_str=True).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield parameter.name, parameter.annotation


def _is_toggle(annotation: Any) -> bool:
    kinds = get_args(annotation)
    return annotation is bool or get_origin(annotation) is Literal or (NoneType in kinds and str not in kinds)


def _leaves(content: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if key in ("defaults", "_target_"):
            continue
        inner = f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _leaves(value, inner)
        else:
            yield inner, value
