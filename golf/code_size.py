"""How many bytes of code a submission would carry, estimated until a packer measures it."""

import ast
import lzma
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from golf.errors import UserError

# What a submission needs. These modules import torch, numpy, sentencepiece and the codec's package, nothing else.
CORE = (
    "golf.artifact",
    "golf.atomic",
    "golf.build",
    "golf.codec",
    "golf.container",
    "golf.data.dataset",
    "golf.data.digest",
    "golf.data.loader",
    "golf.data.shard",
    "golf.data.tokenizer",
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
EVERY_RUN = ("golf.artifact", "golf.data.dataset")  # needed whatever is configured
PARTS = ("model", "optimizer", "trainer", "quantizer", "codec", "evaluation", "ttt")


def is_core(module: str) -> bool:
    """Whether the module named is one of CORE or lies in one of its packages."""
    return any(module == name or module.startswith(f"{name}.") for name in CORE)


def estimate_code_bytes(config: Mapping[str, Any]) -> int:
    """Bytes of the modules that a run of `config` needs, minified together and compressed with LZMA.

    These are the modules of the configured classes (the user's own too), and what of the core they import in turn.
    Raises UserError if one of them has no Python source.
    """
    pending = {*EVERY_RUN, *(config[part]["_target_"].rpartition(".")[0] for part in PARTS)}
    sources: dict[str, str] = {}
    while pending:
        name = pending.pop()
        sources[name] = minified(_source(name))
        pending |= {found for found in _imports(sources[name]) if is_core(found)} - sources.keys()
    together = "\n".join(sources[name] for name in sorted(sources))
    return len(lzma.compress(together.encode(), preset=9 | lzma.PRESET_EXTREME))


def _imports(source: str) -> Iterator[str]:
    """Names of the modules that `source` imports from, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


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
