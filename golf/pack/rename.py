"""Short names for what is a module's own."""

import ast
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from itertools import count


def renamed(sources: Mapping[str, str], kept: Container[str]) -> dict[str, str]:
    """The modules, with short names for what one module defines and no other mentions, in whatever sense: functions,
    classes and constants, and methods and attributes that begin with an underscore.

    kept: names that are looked up.
    """
    trees = {module: ast.parse(source) for module, source in sources.items()}
    mentions = {module: Counter(_names(tree)) for module, tree in trees.items()}
    for module, tree in trees.items():
        foreign = {name for other, names in mentions.items() if other != module for name in names}
        parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        members = {name for name in _members(tree) if name.startswith("_") and not name.endswith("__")}
        own = {name for name in members | set(_globals(tree)) if name not in kept} - foreign - parameters
        free = (short for short in map("_{}".format, map(_letters, count())) if short not in mentions[module])
        frequent = sorted(own, key=lambda name: (-mentions[module][name], name))
        _Rename(dict(zip(frequent, free, strict=False)), members).visit(tree)
    return {module: ast.unparse(tree) for module, tree in trees.items()}


class _Rename(ast.NodeTransformer):
    def __init__(self, short: Mapping[str, str], members: Container[str]):
        self.short = short
        self.members = members  # what follows a dot, too

    def visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "name", "attr"):
            name = getattr(node, field, None)
            if isinstance(name, str) and name in self.short and (field != "attr" or name in self.members):
                setattr(node, field, self.short[name])
        return self.generic_visit(node)


def _names(tree: ast.Module) -> Iterator[str]:
    """Whatever may be a name: identifiers, and texts, by which one may be looked up."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "name", "arg", "asname", "value"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield name


def _globals(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants. Not those whose name has another sense in the module."""
    methods = {
        part.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for part in node.body
        if isinstance(part, ast.FunctionDef)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name not in methods:
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _members(tree: ast.Module) -> Iterator[str]:
    """Methods and attributes that the module's classes define."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (part.name for part in node.body if isinstance(part, ast.FunctionDef))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            yield node.attr


def _letters(number: int) -> str:
    """a … z, aa, ab …"""
    text = ""
    while number >= 0:
        number, last = divmod(number, 26)
        text, number = chr(ord("a") + last) + text, number - 1
    return text
