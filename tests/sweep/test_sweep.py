"""Sweeps from the command line, on Hydra's own launcher and on two plugins."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from runs import run

OWN = {
    "mine.py": """\
        from pathlib import Path
        from golf.optim.adamw import AdamW

        class Failing(AdamW):
            def step(self, step, lr_scale):
                if not Path("mended").exists():
                    raise ArithmeticError("one and one are three")

        class Leaving(AdamW):
            def step(self, step, lr_scale):
                raise SystemExit(0)
        """,
    "optimizer/failing.yaml": "defaults: [adamw, _self_]\n_target_: mine.Failing\n",
    "optimizer/leaving.yaml": "defaults: [adamw, _self_]\n_target_: mine.Leaving\n",
    "optimizer/wrong.yaml": "defaults: [adamw, _self_]\nmatrix_lr: -1.0\n",
}
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local"],
}


@pytest.fixture
def own(tmp_path) -> Path:
    for name, text in OWN.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(dedent(text))
    return tmp_path


def sweep(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "golf",
        "--config-dir=own",
        "-m",
        "experiment=tiny",
        "cache=off",
        "threads=1",
        *arguments,
    ]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def statuses(cwd: Path) -> dict[str, dict]:
    """By the option of the optimizer, or whatever came first."""
    found = [json.loads(path.read_text()) for path in cwd.glob("multirun/*/*/*/status.json")]
    return {status["overrides"][3].partition("=")[2]: status for status in found}


def table_of(done: subprocess.CompletedProcess[str]) -> str:
    """The last table, with its words in one line."""
    return " ".join(done.stdout[done.stdout.rindex("┏") :].replace("│", " ").split())


TRAIN = ("stages=[train]", "trainer.steps=1")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_failure_stops_no_other_job(own, launcher):
    done = sweep(own, "optimizer=failing,leaving,wrong,adamw", *TRAIN, *LAUNCHERS[launcher])
    found = statuses(own)
    assert {name: status["state"] for name, status in found.items()} == {
        "failing": "failed",
        "leaving": "failed",
        "wrong": "failed",
        "adamw": "done",
    }
    assert "ArithmeticError: one and one are three" in found["failing"]["error"]
    assert "SystemExit: 0" in found["leaving"]["error"]
    assert found["wrong"]["error"] == "optimizer: a learning rate of -1.0 is negative"
    assert found["adamw"]["val_bpb"] > 0
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "golf: error: 3 of 4 jobs failed; the same command with sweep.resume="
    )
    table = table_of(done)
    for word in ("optimizer=failing", "one and one are three", "a learning rate of -1.0", "optimizer=adamw"):
        assert word in table
    (directory,) = own.glob("multirun/*/*")
    for job in directory.glob("optimizer*"):
        config = yaml.safe_load((job / "config.yaml").read_text())
        assert config["sweep"] == {"_target_": "golf.sweep.resume.Sweep", "resume": None}


def test_what_is_missing_is_run_and_nothing_else(own):
    command = ("optimizer=failing,adamw", *TRAIN)
    assert sweep(own, *command).returncode == 1
    first = statuses(own)
    (directory,) = own.glob("multirun/*/*")
    (own / "mended").touch()
    done = sweep(own, *command, f"sweep.resume={directory}")
    assert done.returncode == 0, done.stderr
    again = statuses(own)
    assert list(own.glob("multirun/*/*")) == [directory]
    assert again["adamw"] == first["adamw"]
    assert again["failing"]["state"] == "done"
    assert again["failing"]["started"] > first["failing"]["started"]
    wrong = sweep(own, *command, "sweep.resume=own")
    assert (wrong.returncode, "sweep.resume=own: is no directory of a sweep" in wrong.stderr) == (2, True)


def test_what_none_makes_meaningless_is_left_out(own, tmp_path):
    run(tmp_path / "trained", "stages=[train,quantize]")
    done = sweep(own, "ttt=none,score_first", "ttt.epochs=0,1", "stages=[evaluate]", f"input={tmp_path / 'trained'}")
    assert done.returncode == 0, done.stderr
    assert len(list(own.glob("multirun/*/*/*/status.json"))) == 2
    assert table_of(done).count("left out") == 2
    assert "ttt.epochs has no meaning with ttt=none" in table_of(done)
    nothing = sweep(own, "ttt=none", "ttt.epochs=0,1")
    assert nothing.returncode == 2
    assert "no combination has a meaning: ttt.epochs has no meaning with ttt=none" in nothing.stderr
    mistake = sweep(own, "ttt=none,score_first", "ttt.epoch=0,1")
    assert mistake.returncode == 2
    assert "ttt.epoch: no such key" in mistake.stderr


def test_two_sweeps_at_once_have_a_directory_and_a_group_each(own):
    arguments = ("seed=1,2", *TRAIN, "tracker=wandb", "tracker.mode=offline")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: sweep(own, *arguments), range(2)))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    groups = []
    for directory in own.glob("multirun/*/*"):
        configs = [yaml.safe_load((job / "config.yaml").read_text()) for job in directory.glob("*=*")]
        assert len(configs) == 2
        (group,) = {config["tracker"]["group"] for config in configs}
        assert group == f"{directory.parent.name}/{directory.name}"
        assert {config["tracker"]["name"] for config in configs} == {job.name for job in directory.glob("*=*")}
        variants = {config["tracker"]["variant"] for config in configs}
        assert variants == {"experiment=tiny threads=1 stages=[train] trainer.steps=1"}
        groups.append(group)
    assert len(set(groups)) == 2
