"""Real text that every machine has: the running interpreter's standard library.

Three kinds of document: a topic of Python's reference manual (pydoc's), the docstrings of a module, and the source of
a module without its docstrings. Topics and modules are the *families* that a split keeps whole. Nothing is imported
but pydoc's topics, so reading a module has no side effects; modules written in C are left out.
"""

import ast
import hashlib
import os
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path

# Tests, programs, and modules that are tables rather than text.
SKIPPED = {"test", "tests", "idlelib", "turtledemo", "this", "antigravity", "pydoc_data"}
TABLES = {"encodings", "entities", "locale", "stringprep", "_compat_pickle"}
# Manual and docstrings repeat whole paragraphs; one of at least this many characters is kept only once.
REPEATABLE = 100

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Document:
    family: str
    text: str


def fingerprint() -> str:
    """SHA-256 of everything that `documents` could read."""
    digest = hashlib.sha256(repr(sorted(_topics().items())).encode())
    for name, path in sorted(_modules().items()):
        digest.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def documents(corpus_bytes: int) -> list[Document]:
    """Whole families of at most `corpus_bytes` bytes of UTF-8 in all: topics first, then a fair sample of modules.

    They are in an order that mixes topics and modules and is the same on every machine with the same library; the
    documents of one family are adjacent.
    """
    chosen: list[Document] = []
    seen: set[str] = set()
    size = 0
    for family, texts in _families():
        texts = [_without_repeats(_clean(text), seen) for text in texts]
        size += sum(len(text.encode()) for text in texts)
        if size > corpus_bytes:
            break
        chosen += [Document(family, text) for text in texts if text]
    return sorted(chosen, key=lambda document: _rank(document.family))


def split(documents: list[Document], val_fraction: float) -> tuple[list[Document], list[Document]]:
    """Training and validation documents. Depends on a family's name only, so changes of the corpus never move it."""
    train: list[Document] = []
    val: list[Document] = []
    for document in documents:
        position = int.from_bytes(_rank(f"validation {document.family}")[:8], "big") / 2**64
        (val if position < val_fraction else train).append(document)
    return train, val


def _rank(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _families() -> Iterator[tuple[str, list[str]]]:
    """Names and texts, read lazily: most corpora need only a part of the library."""
    topics, modules = _topics(), _modules()
    for name in sorted(topics, key=_rank):
        yield f"topic {name}", [topics[name]]
    for name in sorted(modules, key=_rank):
        yield name, _read_module(name, modules[name])


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:  # some distributions leave it out
        return {}
    return topics


def _modules() -> dict[str, Path]:
    """Dotted name → file."""
    root = Path(sysconfig.get_path("stdlib"))
    modules = {}
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = filter(_is_text, subfolders)
        for path in (Path(folder, file) for file in files):
            if path.suffix == ".py" and _is_text(path.stem):
                name = ".".join(path.relative_to(root).with_suffix("").parts)
                modules[name.removesuffix(".__init__")] = path
    return modules


def _is_text(name: str) -> bool:
    """Whether a file or folder is of the library (site-packages and config-3.11-… are no identifiers) and is text."""
    return name.isidentifier() and name not in SKIPPED | TABLES and not name.startswith("_sysconfigdata")


def _read_module(name: str, path: Path) -> list[str]:
    """The docstrings, each under its qualified name, and the source without them; nothing if it does not parse."""
    try:
        source = decode_source(path.read_bytes())
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    docstrings = list(_docstrings(tree, name))
    prose = "\n\n".join(f"{qualified}\n\n{text}" for qualified, _, text in docstrings)
    return [prose, _without_nodes(source, [node for _, node, _ in docstrings])]


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, ast.stmt, str]]:
    if isinstance(node, ast.Module | Definition):
        text = ast.get_docstring(node)
        if text:
            yield name, node.body[0], text
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):  # statements only: expressions hold none and can be deep
            yield from _docstrings(child, f"{name}.{child.name}" if isinstance(child, Definition) else name)


def _without_nodes(source: str, nodes: list[ast.stmt]) -> str:
    lines = source.encode().split(b"\n")  # columns count bytes of UTF-8
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):  # so that earlier line numbers stay true
        assert node.end_lineno is not None
        rest = lines[node.lineno - 1][: node.col_offset] + lines[node.end_lineno - 1][node.end_col_offset :]
        lines[node.lineno - 1 : node.end_lineno] = [rest] if rest.strip() else []
    return b"\n".join(lines).decode()


def _clean(text: str) -> str:
    """The text without lone surrogates and "▁" (a space to the tokenizer), which would not survive tokenization."""
    return text.strip().encode(errors="ignore").decode().replace("▁", "_")


def _without_repeats(text: str, seen: set[str]) -> str:
    kept = []
    for paragraph in text.split("\n\n"):
        if len(paragraph) < REPEATABLE or paragraph not in seen:
            kept.append(paragraph)
            seen.add(paragraph)
    return "\n\n".join(kept)
