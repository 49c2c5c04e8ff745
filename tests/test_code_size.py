"""The estimate of the code's size, and what makes it one: the core stands on its own."""

import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from golf.code_size import CORE, estimate_code_bytes, is_core, sources
from golf.errors import UserError
from golf.sources import minified

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

OWN = {"golf.code_size", "golf.sources"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"hydra", "omegaconf", "wandb", "rich", "matplotlib"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
for name in CORE:
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"{name}."):
        importlib.import_module(found.name)
print(*sorted(name for name in sys.modules if name.startswith("golf.") and name not in OWN))
"""


def test_the_core_imports_nothing_of_the_launcher_and_nothing_outside_itself() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_CORE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stdout.split()
    assert set(CORE) <= set(imported)
    assert [name for name in imported if not is_core(name)] == ["golf.data"]  # the package itself is empty


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


CONFIG = {
    "model": {"_target_": "golf.model.gpt.GPT"},
    "optimizer": {"_target_": "golf.optim.adamw.AdamW"},
    "trainer": {"_target_": "golf.train.trainer.Trainer"},
    "quantizer": {"_target_": "golf.quantizer.rtn.RoundToNearest"},
    "codec": {"_target_": "golf.codec.lzma.Lzma"},
    "evaluation": {"_target_": "golf.evaluation.sliding.Sliding"},
    "ttt": {"_target_": "golf.ttt.strategy.NoTTT"},
}


def test_estimate_counts_what_the_configured_classes_need() -> None:
    base = estimate_code_bytes(CONFIG)
    assert 5_000 < base < 40_000
    assert estimate_code_bytes(CONFIG) == base
    for part, target in [
        ("optimizer", "golf.optim.muon_adamw.MuonAdamW"),
        ("quantizer", "golf.quantizer.gptq.GPTQ"),
        ("ttt", "golf.ttt.score_first.ScoreFirst"),
    ]:
        assert estimate_code_bytes({**CONFIG, part: {"_target_": target}}) > base, part


def test_estimate_counts_the_users_own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = "".join(f"{hash((i, 1)) % 10**9}," for i in range(1000))
    (tmp_path / "mine_for_size.py").write_text(f'"""{"words " * 5000}"""\nTABLE = [{noise}]\n')
    monkeypatch.syspath_prepend(tmp_path)
    with_mine = estimate_code_bytes({**CONFIG, "ttt": {"_target_": "mine_for_size.Mine"}})
    alone = len(lzma.compress(f"TABLE = [{noise}]".encode(), preset=9))
    assert alone / 2 < with_mine - estimate_code_bytes(CONFIG) < alone * 1.1


def test_all_that_the_classes_import_is_counted() -> None:
    everything = {
        **CONFIG,
        "quantizer": {"_target_": "golf.quantizer.gptq.GPTQ"},
        "ttt": {"_target_": "golf.ttt.score_first.ScoreFirst"},
    }
    for config in (CONFIG, everything):
        modules = {spec["_target_"].rpartition(".")[0] for spec in config.values()}
        program = f"import {', '.join(sorted(modules))}, golf.artifact, golf.data.dataset, sys; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        imported = {name for name in done.stdout.split() if name.partition(".")[0] == "golf"}
        assert imported <= sources(config).keys()


FILES = {
    "mine_package/__init__.py": "",
    "mine_package/part.py": "from . import sibling\nfrom .deep.below import f\nfrom mine_package import cousin",
    "mine_package/sibling.py": "import mine_beside\nimport numpy, torch, json\nfrom missing_here import nothing",
    "mine_package/cousin.py": "from golf.optim import muon\nimport golf.plots",
    "mine_package/deep/__init__.py": "from .. import above",
    "mine_package/deep/below.py": "def f():\n    from ..lazy import x\n    import mine_package.gone",
    "mine_package/above.py": "",
    "mine_package/lazy.py": "x = 1",
    "mine_package/unused.py": "",
    "mine_beside.py": "import mine_folder.inner",
    "mine_folder/inner.py": "",
    "mine_not_imported.py": "",
}


@pytest.mark.parametrize("installed", [False, True])
def test_the_users_helpers_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    home = tmp_path / ("site-packages" if installed else "work")
    for name, text in FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    monkeypatch.syspath_prepend(home)
    config = {**CONFIG, "ttt": {"_target_": "mine_package.part.Mine"}}
    own = {name for name in sources(config) if not name.startswith("golf")}
    package = {"", ".part", ".sibling", ".cousin", ".deep", ".deep.below", ".above", ".lazy"}
    beside = {"mine_beside", "mine_folder", "mine_folder.inner"}
    assert own == {f"mine_package{name}" for name in package} | (set() if installed else beside)
    assert sources(config).keys() - sources(CONFIG).keys() - own == {"golf.optim.muon"}
    assert not any(name.startswith("mine_package") for name in sys.modules)


@pytest.mark.parametrize("name", ["_lzma", "no_such_module_at_all"])
def test_estimate_refuses_what_has_no_source(name: str) -> None:
    with pytest.raises(UserError, match=name):
        estimate_code_bytes({**CONFIG, "ttt": {"_target_": f"{name}.Mine"}})
