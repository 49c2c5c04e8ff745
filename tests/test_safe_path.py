"""Commands that read a folder import nothing from it, nor from the working directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from golf.__main__ import COMMANDS
from golf.data.fixture import FOLDER
from golf.paths import PACKAGE, config_dir

CONSOLE = [str(Path(sys.executable).with_name("golf"))]
MODULE = [sys.executable, "-m", "golf"]
# Of Python, of what golf needs and of what it can do without; and a place where Hydra looks for plugins.
PLANTED = ("pathlib", "json", "yaml", "torch", "numpy", "rich", "hydra", "triton", "hydra_plugins/planted")
EVIL = "open({!r}, 'a').write(__name__ + ' ')\nraise SystemExit('planted')\n"
TINY = ("experiment=tiny", "cache=off", "stages=[train]", "trainer.steps=1", "device=cpu")
DATA_CHECK = ("check", f"--tokenizer={FOLDER / 'tokenizer.model'}", "text")
BUILD = ("build", "text", "--output=data", "--vocab=300", "--val-documents=1", "--workers=2")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A submission that wants to be run; `imported` beside it is written where one of its modules is."""
    folder = tmp_path / "submission"
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(EVIL.format(str(tmp_path / "imported")))
    (folder / "submission.json").write_text("{}")
    (folder / "text").write_text("One and one are two. " * 400)
    return folder


def run(folder: Path, command: list[str], *arguments: str) -> tuple[int, str]:
    """The exit code, and what was said of an error, of a command that has imported nothing from the folder."""
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, timeout=200)
    imported = folder.with_name("imported")
    assert not imported.exists(), imported.read_text()
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def named(start: list[str], command: str) -> list[str]:
    return [*start, command] if start is CONSOLE else [*start[:-1], f"golf.{command}"]


@pytest.mark.parametrize("start", [CONSOLE, MODULE], ids=["console_script", "module"])
@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [("verify", ["."], 1), ("report", ["."], 2), ("submit", ["."], 2), ("data", DATA_CHECK, 1)],
)
def test_a_command_imports_nothing_from_a_folder(folder, start, command, arguments, code):
    if start is CONSOLE:  # which Python would take for the package that `python -m golf…` asks for
        (folder / "golf").mkdir()
        (folder / "golf" / "__init__.py").write_text((folder / "yaml.py").read_text())
    assert run(folder, named(start, command), *arguments)[0] == code


def test_nor_do_the_processes_that_it_starts(folder):
    (folder / "golf").mkdir()
    (folder / "golf" / "__init__.py").write_text((folder / "yaml.py").read_text())
    assert run(folder, CONSOLE, *TINY, "launch.nproc_per_node=2") == (0, "")
    assert len(list(folder.glob("multirun/*/*/checkpoint.pt"))) == 1
    assert run(folder, named(CONSOLE, "data"), *BUILD) == (0, "")


def test_a_checkout_that_is_not_installed_runs_from_its_root(tmp_path):
    for path in (PACKAGE, config_dir()):
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "rich.py").write_text("raise SystemExit('a checkout is trusted')")
    elsewhere = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if "packages" in path)}
    run = [sys.executable, "-S", "-c", CHILD] 
    done = subprocess.run([sys.executable, "-m", "golf", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0


def test_help_lists_the_commands():
    template = yaml.safe_load((config_dir() / "hydra/help/golf.yaml").read_text())["template"]
    assert [name for name in COMMANDS if f"\ngolf {name} " not in template.replace("\n  ", "\n")] == []
