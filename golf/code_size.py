"""How many bytes of code a submission would carry, estimated until a packer measures it."""

import ast
import lzma
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from golf.errors import UserError

# What a submission needs. These modules import torch, numpy, sentencepiece and the codec's package, nothing else.
CORE = (
    "golf.artifact",
    "golf.atomic",
    "golf.build",
    "golf.codec",
    "golf.container",
    "golf.data",
    "golf.device",
    "golf.errors",
    "golf.evaluation",
    "golf.events",
    "golf.model",
    "golf.optim",
    "golf.quantizer",
    "golf.train",
    "golf.ttt",
)


def is_core(module: str) -> bool:
    """Whether the module named is one of CORE or lies in one of its packages."""
    return any(module == name or module.startswith(f"{name}.") for name in CORE)


def estimate_code_bytes(modules: Iterable[str] | None = None) -> int:
    """Size of the core modules imported so far and of `modules`, the user's own, minified and compressed with LZMA.

    Raises UserError if one of `modules` has no Python source.
    """
    names = {name for name in sys.modules if is_core(name)} | set(modules or ())
    sources = [minified(_source(name)) for name in sorted(names)]
    return len(lzma.compress("\n".join(sources).encode(), preset=9 | lzma.PRESET_EXTREME))


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


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        return Path(spec.origin).read_text(encoding="utf-8")
    raise UserError(f"{module}: has no Python source whose size could be measured")
