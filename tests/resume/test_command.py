"""`golf resume DIR`: a run that was cut off goes on with its own config.yaml, wherever the command is given."""

import json
import shlex
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from command import golf
from hypothesis import example, given
from hypothesis import strategies as st

from golf.paths import PACKAGE
from golf.resume.command import resume_command
from golf.tracker import jsonl

pytestmark = pytest.mark.slow

MINE = """\
    from pathlib import Path
    from golf.optim.adamw import AdamW

    class Interrupted(AdamW):
        def step(self, step, lr_scale):
            if step == 1 and not Path("mended").exists():
                raise KeyboardInterrupt
            super().step(step, lr_scale)
    """
COMMAND = (
    *("--config-dir=own", "experiment=tiny", "optimizer=interrupted", "stages=[train]", "trainer.steps=3"),
    *("data=shards", "data.path=data", "data.tokenizer=data/tokenizer.model", "data.val_tokens=1025"),
    *("cache=off", "resume.every_seconds=0"),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A working directory with all that the command needs: a run that was interrupted, and one that was not."""
    cwd = tmp_path_factory.mktemp("here")
    shutil.copytree(PACKAGE / "data" / "fixture", cwd / "data")
    (cwd / "own/optimizer").mkdir(parents=True)
    (cwd / "own/optimizer/interrupted.yaml").write_text("defaults: [adamw, _self_]\n_target_: mine.Interrupted\n")
    (cwd / "own/mine.py").write_text(dedent(MINE))
    assert golf(cwd, *COMMAND, "hydra.run.dir=cut off").returncode == 130
    (cwd / "mended").touch()
    assert golf(cwd, *COMMAND, "hydra.run.dir=whole").returncode == 0
    (cwd / "own/optimizer/interrupted.yaml").unlink()
    return cwd


def test_a_run_goes_on(here, tmp_path):
    directory = here / "cut off"
    command = shlex.split(resume_command(directory))
    done = golf(tmp_path, *command[1:])
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    events = [line for line in jsonl.read(directory) if line.get("name") == "resumed"]
    assert [(line["stage"], line["done"]) for line in events] == [("train", 1)]
    one, other = (json.loads((here / name / "results.json").read_text()) for name in ("cut off", "whole"))
    assert [one[name] for name in ("prequant", "choices", "seed")] == [
        other[name] for name in ("prequant", "choices", "seed")
    ]
    configs = [(here / name / "config.yaml").read_text() for name in ("cut off", "whole")]
    assert configs[0] == configs[1]
    again = golf(tmp_path, *command[1:], "seed=7")
    assert (again.returncode, "holds another run (seed is 1337 there and 7 here)" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda directory: (directory / "run.json").unlink(), "is no directory of a run or a sweep that can go on"),
        (lambda directory: (directory / "config.yaml").unlink(), "is no directory of a run or a sweep that can go on"),
        (lambda directory: (directory / "config.yaml").write_text("["), "config.yaml: cannot be read as YAML"),
        (lambda directory: (directory / "config.yaml").write_text("seed: 1\n"), "config.yaml: has no input, tracker"),
        (lambda directory: (directory / "multirun.yaml").write_text("hydra: 1\n"), "multirun.yaml: is none of Hydra's"),
    ],
)
def test_what_cannot_go_on_is_one_line(here, tmp_path, damage, message):
    directory = shutil.copytree(here / "whole", tmp_path / "run")
    damage(directory)
    done = golf(tmp_path, "resume", "run")
    assert message in done.stderr
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])))
@example("a 'b'\\c\\")
def test_any_path_can_be_pasted_into_a_shell(path):
    assert shlex.split(resume_command(path)) == ["golf", "resume", path]
