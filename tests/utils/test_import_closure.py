"""Which modules a class needs, the user's own among them, and their source without words."""

import sys
from pathlib import Path

import pytest

from golf.build import module_of
from golf.errors import UserError
from golf.kernels.backend import own_modules
from golf.utils.import_closure import closure, minified

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


FILES = {
    "mine_package/__init__.py": "",
    "mine_package/part.py": "from . import sibling\nfrom .deep.below import f\nfrom mine_package import cousin",
    "mine_package/sibling.py": "import mine_beside\nimport numpy, torch, json\nfrom missing_here import nothing",
    "mine_package/cousin.py": "from golf.optim import muon\nimport golf.run.plots",
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
    found = closure({"mine_package.part"}, lambda module: module.partition(".")[0] == "golf")
    own = {name for name in found if not name.startswith("golf")}
    package = {"", ".part", ".sibling", ".cousin", ".deep", ".deep.below", ".above", ".lazy"}
    beside = {"mine_beside", "mine_folder", "mine_folder.inner"}
    assert own == {f"mine_package{name}" for name in package} | (set() if installed else beside)
    assert {"golf.optim.muon", "golf.run.plots"} <= found.keys()
    assert not any(name.startswith("mine_package") for name in sys.modules)


def test_the_kernels_that_a_name_stands_for_count() -> None:
    modules = own_modules({"attention": "sdpa", "kernels": "triton"})
    found = closure(modules, lambda module: module.startswith("golf."))
    assert {"golf.kernels.heads_triton", "golf.kernels.launch"} <= found.keys()
    assert "golf.kernels.mlp_quack" not in found


@pytest.mark.parametrize("name", ["_lzma", "no_such_module_at_all"])
def test_what_has_no_source_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        closure({module_of({"_target_": f"{name}.Mine"})}, lambda module: False)
