"""Sweeps from the command line, on Hydra's own launcher."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from command import golf
from runs import run
from sweeps import SWEEP, TRAIN, statuses, sweep, sweep_from_here, table_of, write_optimizers

from golf.tracker import jsonl

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path) -> Path:
    write_optimizers(tmp_path / "own")
    return tmp_path


def test_a_failure_stops_no_other_job(own):
    done = sweep_from_here(own, "optimizer=leaving,wrong,adamw", *TRAIN)
    found = statuses(own)
    assert {name: status["state"] for name, status in found.items()} == {
        "leaving": "failed",
        "wrong": "failed",
        "adamw": "done",
    }
    assert "SystemExit: 0" in found["leaving"]["error"]
    assert found["wrong"]["error"] == "optimizer: a learning rate of -1.0 is negative"
    assert found["adamw"]["objectives"]["val_bpb"] > 0
    assert done.returncode == 1
    (directory,) = own.glob("multirun/*/*")
    assert done.stderr.splitlines()[-1] == f"golf: error: 2 of 3 jobs failed; golf resume {directory} runs them again"
    table = table_of(done)
    for word in ("optimizer=leaving", "a learning rate of -1.0", "optimizer=adamw"):
        assert word in table
    for job in directory.glob("optimizer*"):
        config = yaml.safe_load((job / "config.yaml").read_text())
        assert config["sweep"] == {"_target_": "golf.sweep.sweep.Sweep", "objectives": ["val_bpb"]}


def test_what_is_missing_is_run_and_nothing_else(own):
    """By the launcher that it was started with."""
    failed = sweep_from_here(own, "optimizer=failing,adamw", *TRAIN, "hydra/launcher=parallel")
    assert failed.returncode == 1
    assert "optimizer=failing failed" in table_of(failed)
    first = statuses(own)
    assert "ArithmeticError: one and one are three" in first["failing"]["error"]
    (directory,) = own.glob("multirun/*/*")
    (own / "mended").touch()
    done = golf(own.parent, "resume", str(directory))
    assert done.returncode == 0, done.stderr
    assert "Joblib.Parallel(n_jobs=2" in done.stdout
    again = statuses(own)
    assert list(own.glob("multirun/*/*")) == [directory]
    assert again["adamw"] == first["adamw"]
    assert again["failing"]["state"] == "done"
    assert again["failing"]["started"] > first["failing"]["started"]
    wrong = golf(own, "resume", "own")
    assert (wrong.returncode, "own: is no directory of a run or a sweep" in wrong.stderr) == (2, True)


def test_what_none_makes_meaningless_is_left_out(own, tmp_path):
    run(tmp_path / "trained", "stages=[train,quantize]", "trainer.steps=1", "data.val_tokens=130")
    evaluate = ("stages=[evaluate]", f"input={tmp_path / 'trained'}", "data.val_tokens=130")
    done = sweep_from_here(own, "ttt=none,score_first", "ttt.epochs=0,1", *evaluate)
    assert done.returncode == 0, done.stderr
    assert len(list(own.glob("multirun/*/*/*/status.json"))) == 2
    assert table_of(done).count("left out") == 2
    assert "ttt.epochs has no meaning with ttt=none" in table_of(done)
    nothing = sweep_from_here(own, "ttt=none", "ttt.epochs=0,1")
    assert nothing.returncode == 2
    assert "no combination has a meaning: ttt.epochs has no meaning with ttt=none" in nothing.stderr
    mistake = sweep_from_here(own, "ttt=none,score_first", "ttt.epoch=0,1")
    assert mistake.returncode == 2
    assert "ttt.epoch: no such key" in mistake.stderr


def test_two_sweeps_at_once_have_a_directory_and_a_group_each(own):
    """And a W&B run for each job, under an agent of W&B's too."""
    arguments = ("seed=1,2", *TRAIN, "tracker=wandb", "tracker.mode=offline")
    agent = {"WANDB_SWEEP_ID": "sweep", "WANDB_RUN_ID": "expected"}
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: sweep(own, *arguments, **agent), range(2)))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    groups = []
    for directory in own.glob("multirun/*/*"):
        configs = [yaml.safe_load((job / "config.yaml").read_text()) for job in directory.glob("*-*")]
        assert len(configs) == 2
        (group,) = {config["tracker"]["group"] for config in configs}
        assert group == f"{directory.parent.name}/{directory.name}"
        assert {config["tracker"]["name"] for config in configs} == {job.name for job in directory.glob("*-*")}
        variants = {config["tracker"]["variant"] for config in configs}
        assert variants == {"experiment=tiny stages=[train] trainer.steps=1 data.val_tokens=130"}
        groups.append(group)
    assert len(set(groups)) == 2
    ids = {path.name.rpartition("-")[2] for path in own.glob("multirun/*/*/*/wandb/offline-run-*")}
    assert len(ids) == 4
    assert "expected" not in ids


def test_nobody_reads_what_a_sweep_prints(tmp_path):
    """In a directory whose name no encoding has, on a terminal that takes ASCII."""
    cwd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    write_optimizers(cwd / "own")
    command = [sys.executable, "-m", "golf", *SWEEP, "seed=1,2", *TRAIN]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "2 jobs" in process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)
    assert [status["state"] for status in statuses(cwd).values()] == ["done", "done"]
    for log in cwd.glob("multirun/*/*/*/job.log"):
        assert [line.get("name") for line in jsonl.read(log.parent)].count("listener_failed") == 1
        assert r"/caf\xe9/multirun/" in log.read_text()
