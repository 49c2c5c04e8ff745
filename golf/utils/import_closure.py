"""Which modules a module needs, and their source without what does not change what it does."""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import decode_source, find_spec, resolve_name
from itertools import accumulate
from pathlib import Path

from golf.errors import UserError

INSTALLED = ("site-packages", "dist-packages")  # what lies there together does not belong together


def closure(modules: Iterable[str], follow: Callable[[str], bool]) -> dict[str, str]:
    """Minified source, by name, of these modules and of what they import in turn.

    Of that, the modules that `follow` wants and, of classes of the user's own, those in the class's top-level package
    and those that lie beside it, unless that is where packages are installed. Raises UserError if one of them has no
    Python source.
    """
    roots = set(modules)
    own = {_top(module) for module in roots} - {"golf"} - sys.stdlib_module_names
    homes = {home for home in map(_home, own) if home and home.name not in INSTALLED}
    pending = {package for module in roots for package in _with_packages(module)}
    found: dict[str, str] = {}
    while pending:
        name = pending.pop()
        found[name] = minified(source_of(name))
        for module in _imports(name, found[name]):
            top = _top(module)
            if follow(module) or top in own or (top != "golf" and _home(top) in homes):
                pending |= set(_with_packages(module)) - found.keys()
    return found


def _imports(module: str, source: str) -> Iterator[str]:
    """Names of the modules that the source of `module` imports, inside functions too; those that there are."""
    spec = _spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    package = module if is_package else module.rpartition(".")[0]
    for node in _import_statements(source):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = [base, *(f"{base}.{name}" for name in names)]  # a name may be a module of the package
        yield from (name for name in names if _spec(name) is not None)


# Every stage's key asks for much the same modules, and parsing is most of the work: a text is parsed once.
@cache
def _import_statements(source: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]


@cache
def minified(source: str) -> str:
    """`source` without docstrings, comments and blank lines; it does the same."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
            if not node.body and not isinstance(node, ast.Module):
                node.body.append(ast.Pass())
    return ast.unparse(tree)


def source_of(module: str) -> str:
    """The text of a module. Raises UserError if it has none."""
    spec = _spec(module)
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        return decode_source(Path(spec.origin).read_bytes())
    if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        return ""  # a folder without __init__.py
    raise UserError(f"{module}: has no Python source whose size could be measured")


def _spec(module: str) -> ModuleSpec | None:
    """Where a module lies, or None. Unlike find_spec this imports no package on the way."""
    top, *parts = module.split(".")
    spec = find_spec(top)
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations)
    return spec


def _home(top: str) -> Path | None:
    """The folder that a top-level module or package lies in; None for what is no file."""
    spec = find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        return Path(next(iter(spec.submodule_search_locations))).parent.resolve()
    return Path(spec.origin).parent.resolve() if spec.has_location and spec.origin else None


def _top(module: str) -> str:
    return module.partition(".")[0]


def _with_packages(module: str) -> Iterator[str]:
    """The module and the packages that it lies in, whose __init__.py run before it."""
    return accumulate(module.split("."), "{}.{}".format)
