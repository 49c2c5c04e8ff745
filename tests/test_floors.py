"""The floors of the house: what may import what (contracts in pyproject.toml)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(LINT, cwd=root, capture_output=True, text=True, check=False)


def test_imports_keep_to_the_floors() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("golf/utils/disk.py", "from golf.runtime import dist"),
        ("golf/model/block.py", "import golf.train.trainer"),
        ("golf/data/loader.py", "from golf.data.prep import hub"),
        ("golf/quantizer/rtn.py", "import wandb"),
    ],
)
def test_an_import_that_leads_up_is_found(tmp_path: Path, module: str, line: str) -> None:
    """Inside a function, too."""
    shutil.copytree(ROOT / "golf", tmp_path / "golf", ignore=shutil.ignore_patterns("*.bin", "__pycache__"))
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (tmp_path / module).open("a") as file:
        file.write(f"\n\ndef later():\n    {line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
