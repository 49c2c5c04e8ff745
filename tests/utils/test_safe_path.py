"""Commands that read a folder import nothing from it, nor from the working directory."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from golf.__main__ import COMMANDS
from golf.paths import PACKAGE, config_dir

pytestmark = pytest.mark.slow

CONSOLE = [str(Path(sys.executable).with_name("golf"))]
MODULE = [sys.executable, "-m", "golf"]
# Of Python, of what golf needs and of what it can do without; and a place where Hydra looks for plugins.
PLANTED = ("pathlib", "json", "yaml", "torch", "numpy", "rich", "hydra", "triton", "hydra_plugins/planted")
EVIL = "open({!r}, 'a').write(__name__ + ' ')\nraise SystemExit('planted')\n"
# A mistake that the workers find.
WORKERS = ("experiment=tiny", "cache=off", "compute.device=cpu", "trainer.micro_batches=1", "launch.nproc_per_node=2")
TOLD = "golf: error: trainer.micro_batches=1 cannot be divided evenly among 2 processes; set trainer.micro_batches=2\n"
BUILD = ("build", "text.jsonl", "--output=data", "--vocab=280", "--val-documents=1", "--workers=2")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A submission that wants to be run; `imported` beside it is written where one of its modules is."""
    folder = tmp_path / "submission"
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(EVIL.format(str(tmp_path / "imported")))
    (folder / "submission.json").write_text("{}")
    (folder / "text.jsonl").write_text("".join(f'{{"text": "{i} and one are {i + 1}"}}\n' for i in range(400)))
    return folder


def plant_golf(folder: Path) -> None:
    """What Python itself takes for the package that `python -m golf…` asks for, before golf can prevent it."""
    (folder / "golf").mkdir()
    (folder / "golf" / "__init__.py").write_text((folder / "yaml.py").read_text())


def run(folder: Path, command: list[str], *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said of an error, of a command that has imported nothing from the folder."""
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=200)
    imported = folder.with_name("imported")
    assert not imported.exists(), imported.read_text()
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def named(start: list[str], command: str) -> list[str]:
    return [*start, command] if start is CONSOLE else [*start[:-1], f"golf.{command}"]


@pytest.mark.parametrize(
    ("start", "command", "code"),
    [(CONSOLE, "verify", 1), (CONSOLE, "report", 2), (MODULE, "verify", 1), (MODULE, "submit", 2)],
    ids=lambda value: "-m" if value is MODULE else "golf" if value is CONSOLE else None,
)
def test_a_command_imports_nothing_from_a_folder(folder, start, command, code):
    if start is CONSOLE:
        plant_golf(folder)
    assert run(folder, named(start, command), ".")[0] == code


def test_nor_do_the_processes_that_it_starts(folder):
    plant_golf(folder)
    assert run(folder, CONSOLE, *WORKERS) == (2, TOLD)
    assert run(folder, named(CONSOLE, "data"), *BUILD) == (0, "")


def test_a_checkout_that_is_not_installed_runs_from_its_root(folder):
    """And so do the processes that it starts, whatever other golf is installed."""
    for path in (PACKAGE, config_dir()):
        shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in PLANTED:
        (folder / f"{name}.py").unlink()
    with (folder / "golf/utils/parent.py").open("a") as module:
        module.write("\nwith open('from_here', 'a') as file:\n    file.write('.')\n")
    assert run(folder, MODULE, *WORKERS) == (2, TOLD)
    assert (folder / "from_here").read_text() == ".."  # by the two workers


def test_help_lists_the_commands():
    template = yaml.safe_load((config_dir() / "hydra/help/golf.yaml").read_text())["template"]
    assert set(re.findall(r"^golf (\w+) ", template, re.MULTILINE)) == {*COMMANDS, "resume"}
