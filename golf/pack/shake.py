"""Leaving out of a program's modules what it never reaches.

Reachability goes by names: a function, class or constant stays if anything that stays mentions its name, in whatever
sense; a member of a class if anything mentions it after a dot, or its own class in whatever sense. So more may stay
than is needed, and never less. The program must not reach anything by a name that it puts together; what it looks up by
a name of the configuration is told beforehand. What begins with an underscore is not looked at from outside.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module

Definition = ast.FunctionDef | ast.ClassDef


def shaken(
    sources: Mapping[str, str],
    main: str,
    roots: Iterable[str],
    names: Iterable[str],
    off: Iterable[str] = (),
) -> dict[str, str]:
    """The modules that a program needs, with what it needs of them.

    sources: by module, without annotations of variables and parameters. main, roots: modules that are imported.
    names: that nobody mentions and that are reached all the same. off: functions and methods that do nothing and answer
    no: a line that calls one is left out, and so is what is done if it answers yes.
    """
    trees = {module: ast.parse(source) for module, source in sources.items()}
    offered = {module: _offered(tree) for module, tree in trees.items()}
    for tree in trees.values():
        _Words(set(off)).visit(tree)
    texts: dict[str, str] = {}
    while texts != (texts := {module: ast.unparse(tree) for module, tree in trees.items()}):
        trees = {module: trees[module] for module in sorted(_imported(trees, {main, *roots}))}
        live = _live(trees, {*names, *(f".{name}" for name in names)})
        for module, tree in trees.items():
            _Dead(module, live).visit(tree)
            _drop_imports(tree, offered[module] & live)
    return texts


class _Words(ast.NodeTransformer):
    """Drops what tells a user of a mistake in the configuration, which was checked when the script was made: `require`
    of golf.errors. Of other errors it drops the words, and they are raised all the same; of fields the types; abstract
    methods, which every class that is built overrides; and what is switched off."""

    def __init__(self, off: set[str]):
        self.off = off

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:
        self.generic_visit(node)
        needed = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else []
        return node.orelse if any(map(self._is_off, [node.test, *needed])) else node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
        return None if self._is_off(node.value) else node

    def _is_off(self, value: ast.expr) -> bool:
        called = value.func if isinstance(value, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else None
        return name in self.off

    def visit_Module(self, node: ast.Module) -> ast.Module:
        imports = [line for line in node.body if isinstance(line, ast.ImportFrom) and line.module == "golf.errors"]
        self.of_configuration = any(alias.name == "require" for line in imports for alias in line.names)
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        if self._is_off(node.value):
            return None
        call = node.value
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "require"):
            return node
        if self.of_configuration:
            return None
        call.args[1] = ast.Constant("")
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []  # that all are as long was seen when the framework ran
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        if isinstance(node.exc, ast.Call) and all(
            isinstance(part, ast.Constant | ast.JoinedStr) for part in node.exc.args
        ):
            node.exc = node.exc.func
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        node.body = [line for line in node.body if not _is_abstract(line)] or [ast.Pass()]
        for line in node.body:  # what says that a name is a field; of which type, nobody asks
            if isinstance(line, ast.AnnAssign) and "ClassVar" not in _names(line.annotation):
                line.annotation = ast.Name("int", ast.Load())
        return node

    def visit_For(self, node: ast.For) -> ast.For | None:
        before = len(node.body)
        self.generic_visit(node)
        checked = len(node.body) < before
        return None if checked and all(_only_names(line) for line in node.body) else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        _Unread(node).generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node


def _is_abstract(line: ast.stmt) -> bool:
    """Whether a line is an abstract method that does nothing."""
    if not isinstance(line, ast.FunctionDef):
        return False
    done = [part for part in line.body if not isinstance(part, ast.Pass)]
    done = [part for part in done if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    return not done and "abstractmethod" in {getattr(decorator, "id", None) for decorator in line.decorator_list}


def _only_names(line: ast.stmt) -> bool:
    """Whether a line does nothing but give names to values: what is left of a loop that checked them."""
    return isinstance(line, ast.Assign) and all(isinstance(target, ast.Name) for target in line.targets)


class _Unread(ast.NodeTransformer):
    """Drops the local values of a function that nothing reads, as those that only the words told."""

    def __init__(self, function: ast.FunctionDef):
        parts = list(ast.walk(function))
        self.read = {part.id for part in parts if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Store)}
        self.read |= {name for part in parts if isinstance(part, ast.Global | ast.Nonlocal) for name in part.names}

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return node  # its values are not local

    def visit_If(self, node: ast.If) -> ast.If:
        if isinstance(node.body[-1], ast.Raise):  # whatever else goes wrong, an error comes out
            node.body = [line for line in node.body if not (isinstance(line, ast.Assign) and self._are_unread(line))]
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        return ast.Pass() if self._are_unread(node) and _is_pure(node.value) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        return ast.Pass() if self._is_unread(node.target) and _is_pure(node.value) else node

    def _are_unread(self, node: ast.Assign) -> bool:
        return all(self._is_unread(target) for target in node.targets)

    def _is_unread(self, target: ast.expr) -> bool:
        if isinstance(target, ast.Tuple):
            return all(self._is_unread(part) for part in target.elts)
        return isinstance(target, ast.Name) and target.id not in self.read


# What neither does anything nor goes wrong where it went well before.
PURE = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.IfExp, ast.Dict),
    *(ast.JoinedStr, ast.FormattedValue),
)


def _is_pure(value: ast.expr) -> bool:
    if isinstance(value, PURE):
        return all(_is_pure(part) for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr))
    return False


class _Dead(ast.NodeTransformer):
    """Drops definitions and constants of modules and classes that are not live."""

    def __init__(self, module: str, live: set[str]):
        self.module, self.live = module, live

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [line for line in node.body if _stays(line, self.live, frozenset())]
        for line in node.body:
            if isinstance(line, ast.ClassDef):
                fixed = _called_from_outside(self.module, line)
                line.body = _staying_members(line, self.live, fixed) or [ast.Pass()]
        return node


def _stays(line: ast.stmt, live: set[str], fixed: frozenset[str]) -> bool:
    if isinstance(line, ast.FunctionDef):
        return line.name in live or line.name in fixed or line.name.startswith("__")
    if isinstance(line, ast.ClassDef):
        return line.name in live
    if isinstance(line, ast.Assign):
        return bool((live | fixed) & _names(ast.Tuple(line.targets)))
    if isinstance(line, ast.If):
        return not (isinstance(line.test, ast.Name) and line.test.id == "TYPE_CHECKING")
    if isinstance(line, ast.AnnAssign) and line.value is None:
        return "ClassVar" not in _names(line.annotation)
    return not isinstance(line, ast.Pass)


def _staying_members(node: ast.ClassDef, live: set[str], fixed: frozenset[str]) -> list[ast.stmt]:
    """What stays of a class."""
    within = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    reached = {name.removeprefix(".") for name in live if name.startswith(".")} | within
    return [part for part in node.body if _stays(part, reached, fixed)]


def _called_from_outside(module: str, node: ast.ClassDef) -> frozenset[str]:
    """Names of the class that a base class of somebody else's has too, and may use."""
    try:
        cls = getattr(import_module(module), node.name)
    except ImportError:  # of what only the machine has that runs the program: it may use anything
        return frozenset(_members(node))
    bases = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] != module.partition(".")[0]]
    return frozenset(name for base in bases if base is not object for name in vars(base))


def _members(node: ast.ClassDef) -> Iterator[str]:
    for line in node.body:
        if isinstance(line, ast.FunctionDef):
            yield line.name
        elif isinstance(line, ast.Assign):
            yield from _names(ast.Tuple(line.targets))


def _live(trees: Mapping[str, ast.Module], names: set[str]) -> set[str]:
    """All names that what stays mentions."""
    live = set(names)
    names_in = cache(_names)  # every round asks for them again
    before = -1
    while before != (before := len(live)):
        for module, tree in trees.items():
            for line in tree.body:
                if not isinstance(line, ast.Import | ast.ImportFrom) and _stays(line, live, frozenset()):
                    live |= _mentioned(module, line, live, names_in)
    return live


def _mentioned(module: str, line: ast.stmt, live: set[str], names_in: Callable[[ast.AST], set[str]]) -> set[str]:
    if not isinstance(line, ast.ClassDef):
        return names_in(line)
    fixed = _called_from_outside(module, line)
    parts = _staying_members(line, live, fixed)
    return set().union(*(names_in(part) for part in [*line.bases, *line.decorator_list, *line.keywords, *parts]))


def _names(node: ast.AST) -> set[str]:
    """Identifiers in `node`, but for the name that it defines."""
    return set(_identifiers(node))


def _identifiers(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield from (part.attr, f".{part.attr}")
        elif isinstance(part, ast.alias):
            yield from part.name.split(".")


def _imported(trees: Mapping[str, ast.Module], roots: set[str]) -> set[str]:
    """The modules, of those that there are, that the roots import in turn, and the packages that they lie in."""
    found: set[str] = set()
    pending = set(roots)
    while pending:
        module = pending.pop()
        found.add(module)
        package = module.rpartition(".")[0]
        names = {package} if package else set()
        for node in ast.walk(trees[module]):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
        pending |= {name for name in names if name in trees} - found
    return found


def _offered(tree: ast.Module) -> set[str]:
    """What a module says that it has for others: `__all__`."""
    lines = [line for line in tree.body if isinstance(line, ast.Assign) and "__all__" in _names(line)]
    return {name for line in lines for name in ast.literal_eval(line.value)}


def _drop_imports(tree: ast.Module, offered: set[str]) -> None:
    """Imports that bind a name which the module neither mentions nor offers."""
    used = offered | {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            lines = getattr(node, field, None)
            if not isinstance(lines, list):
                continue
            for line in lines:
                if isinstance(line, ast.Import | ast.ImportFrom):
                    line.names = [
                        alias for alias in line.names if (alias.asname or alias.name.partition(".")[0]) in used
                    ]
            kept = [line for line in lines if not (isinstance(line, ast.Import | ast.ImportFrom) and not line.names)]
            if len(kept) < len(lines):
                setattr(node, field, kept or ([] if isinstance(node, ast.Module) or field != "body" else [ast.Pass()]))
