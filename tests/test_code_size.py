"""The estimate of the code's size, and what makes it one: the core stands on its own."""

import importlib.util
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from golf.code_size import CORE, estimate_code_bytes, is_core, minified
from golf.errors import UserError

SOURCE = '''"""Module."""
# A comment.
class Empty(Exception):
    """Only a docstring."""


async def work(a: int = 1) -> str:
    """Docstring."""

    def inner():
        "Docstring."
    text = """kept"""  # dropped
    return text * a
'''

# Imports the whole core where the launcher's packages cannot be imported, and prints what golf consists of then.
IMPORT_CORE = """
import importlib, pkgutil, sys
from golf.code_size import CORE

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"hydra", "omegaconf", "wandb", "rich", "matplotlib"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
for name in CORE:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
        importlib.import_module(found.name)
print(*sorted(name for name in sys.modules if name.startswith("golf.") and name != "golf.code_size"))
"""


def test_the_core_imports_nothing_of_the_launcher_and_nothing_outside_itself() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_CORE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert set(CORE) <= set(imported)
    assert [name for name in imported if not is_core(name)] == []


def test_is_core_goes_by_whole_names() -> None:
    assert is_core("golf.codec")
    assert is_core("golf.codec.brotli")
    assert not is_core("golf.codecs")
    assert not is_core("golf.app")


def test_minified_source_does_the_same_without_words() -> None:
    small = minified(SOURCE)
    assert "Docstring" not in small
    assert "Module" not in small
    assert "Only" not in small
    assert "#" not in small
    assert "kept" in small
    namespace: dict[str, object] = {}
    exec(small, namespace)
    with pytest.raises(StopIteration, match="keptkept"):
        namespace["work"](2).send(None)  # type: ignore[operator]
    assert issubclass(namespace["Empty"], Exception)  # type: ignore[arg-type]


def test_minified_keeps_an_empty_module_empty() -> None:
    assert minified('"""Nothing else."""\n') == ""


def test_estimate_counts_the_core_that_was_imported_and_the_modules_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = "".join(f"{hash((i, 1)) % 10**9}," for i in range(1000))
    (tmp_path / "mine_for_size.py").write_text(f'"""{"words " * 5000}"""\nTABLE = [{noise}]\n')
    monkeypatch.syspath_prepend(tmp_path)
    core = estimate_code_bytes()
    with_mine = estimate_code_bytes(["mine_for_size"])
    alone = len(lzma.compress(f"TABLE = [{noise}]".encode(), preset=9))
    assert alone / 2 < with_mine - core < alone * 1.1
    assert estimate_code_bytes(["mine_for_size"]) == with_mine


def test_estimate_leaves_out_what_was_not_imported() -> None:
    """Two fresh interpreters: one more module of the core is more bytes, one more of the launcher is not."""

    def size(imports: str) -> int:
        code = f"import {imports}; from golf.code_size import estimate_code_bytes; print(estimate_code_bytes())"
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

    assert size("golf.build, golf.config") == size("golf.build")
    assert size("golf.build, golf.atomic") > size("golf.build")


def test_estimate_refuses_what_has_no_source() -> None:
    assert importlib.util.find_spec("_lzma") is not None
    for name in ("_lzma", "no_such_module_at_all"):
        with pytest.raises(UserError, match=name):
            estimate_code_bytes([name])
