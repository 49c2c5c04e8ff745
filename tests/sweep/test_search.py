"""Searches by Optuna, through Hydra's plugin: real trials, real storage."""

import json
from collections import Counter
from contextlib import chdir
from pathlib import Path

import optuna
import pytest
import yaml
from command import golf
from interrupting import interrupted
from optuna.trial import TrialState
from runs import FEW
from sweeps import statuses, sweep_from_here, table_of, write_optimizers

from golf.tracker import jsonl

pytestmark = pytest.mark.slow


@pytest.fixture
def own(tmp_path) -> Path:
    write_optimizers(tmp_path / "own")
    return tmp_path


def directory(cwd: Path) -> Path:
    (found,) = cwd.glob("multirun/*/*")
    return found


def study(cwd: Path) -> optuna.Study:
    with chdir(directory(cwd)):
        return optuna.load_study(study_name="golf", storage="sqlite:///study.db")


def best(cwd: Path) -> dict:
    return yaml.safe_load((directory(cwd) / "optimization_results.yaml").read_text())


def computed(cwd: Path) -> Counter[str]:
    """How often each stage was not taken from the cache."""
    lines = [line for job in directory(cwd).glob("*-*") for line in jsonl.read(job)]
    return Counter(line["stage"] for line in lines if line.get("name") == "stage_finished" and not line["from_cache"])


def test_a_search_goes_on_where_it_was_and_trains_once(own):
    command = ("sweep=ttt_search", "trainer.steps=2", *FEW)
    done = sweep_from_here(own, *command, "hydra.sweeper.n_trials=1")
    assert (done.returncode, done.stderr) == (0, "")
    for _ in range(2):  # there is nothing to do the second time
        done = golf(own.parent, "resume", str(directory(own)), "hydra.sweeper.n_trials=2")
        assert done.returncode == 0, done.stderr
        trials = study(own).trials
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert computed(own) == {"train": 1, "quantize": 1, "evaluate": 1, "ttt": 2}
    assert len({trial.params["ttt.lr"] for trial in trials}) == 2
    scores = [status["objectives"]["val_bpb"] for status in statuses(own).values()]
    assert sorted(trial.value for trial in trials) == sorted(scores)
    assert best(own)["best_value"] == min(scores)
    other = sweep_from_here(own, *command, "seed=7", f"hydra.sweep.dir={directory(own)}")
    assert other.returncode == 2
    assert "hydra.sweeper.study_name=golf: this study has the command line experiment=tiny" in other.stderr


def test_a_trial_that_was_interrupted_goes_on(tmp_path):
    """In a directory whose name means something in a URL and in a template."""
    odd = tmp_path / "q?x {a} %41"
    odd.mkdir()
    settings = ("trainer.steps=60", "hydra.sweeper.n_trials=1", "stages=[train]", "cache=off")
    command = ("-m", "experiment=tiny", "sweep=ttt_search", *settings, "sweep.objectives=[val_bpb]")
    done = interrupted(odd, *command, after="step 1 ")
    assert done.returncode == 130, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [odd.name]
    (job,) = directory(odd).glob("*/status.json")
    done = golf(tmp_path, "resume", str(directory(odd)))
    assert done.returncode == 0, done.stderr
    assert list(directory(odd).glob("*/status.json")) == [job]
    assert [line["stage"] for line in jsonl.read(job.parent) if line.get("name") == "resumed"] == ["train"]
    assert [trial.state for trial in study(odd).trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_failed_job_is_a_failed_trial(own):
    stages = ("stages=[train,quantize]", "trainer.steps=1", "data.val_tokens=130", "optimizer=failing_once")
    done = sweep_from_here(own, "sweep=clip_search", *stages, "hydra.sweeper.n_trials=2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("golf: error: 1 of 2 jobs failed; golf resume ")
    failed, complete = study(own).trials
    assert (failed.state, failed.values) == (TrialState.FAIL, None)
    found = [json.loads(path.read_text()) for path in directory(own).glob("*/status.json")]
    (status,) = [status for status in found if status["state"] == "done"]
    assert list(status["objectives"]) == ["artifact_bytes", "val_bpb"]
    assert complete.values == list(status["objectives"].values())
    assert best(own)["solutions"] == [{"params": complete.params, "values": complete.values}]


def test_without_a_single_good_trial_it_is_told_why(own):
    one = ("sweep=ttt_search", "hydra.sweeper.n_trials=1")
    failed = sweep_from_here(own, *one, "optimizer=wrong")
    assert (failed.returncode, failed.stderr[:36]) == (1, "golf: error: 1 of 1 jobs failed; gol")
    assert "a learning rate of -1.0 is negative" in table_of(failed)
    nowhere = sweep_from_here(own, *one, "hydra/launcher=slurm", PATH=str(own))
    assert (nowhere.returncode, nowhere.stderr[:39]) == (2, 'golf: error: Could not detect "srun", a')
    assert "┏" not in nowhere.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sweep.objectives=[val_bp]", "seed=1,2"],
            "sweep.objectives: val_bp: no such metric; did you mean val_bpb? (",
        ),
        (["sweep.objectives=val_bpb", "seed=1,2"], "sweep.objectives: expected list of str, got 'val_bpb'\n"),
        (["sweep=clip_search", "sweep.objectives=[val_bpb]"], "2 hydra.sweeper.direction for the 1 sweep.objectives\n"),
        (["sweep=ttt_search", "ttt=none"], "ttt.lr: no such key"),
    ],
)
def test_a_mistake_is_one_line_before_any_job(own, arguments, message):
    done = sweep_from_here(own, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"golf: error: {message}")
    assert done.stderr.count("\n") == 1
    assert list(own.glob("multirun/*/*")) == []
