"""Paths in a configuration: absolute, whatever they were given as, and wherever the job runs."""

import json
import os
from pathlib import Path

import pytest
import yaml
from command import golf
from runs import composed

from golf import paths
from golf.config.override import with_home
from golf.config.places import with_absolute_paths
from golf.report.runs import read_runs

FIXTURE = paths.PACKAGE / "data" / "fixture"
TINY = ("experiment=tiny", "ttt=none", "trainer.steps=1", "quantizer=rtn", "data.val_tokens=130", "cache=off")
SHARDS = ("data=shards", "data.path=data", "data.tokenizer=data/tokenizer.model")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home directory with a space in its name, which is the working directory too."""
    home = tmp_path / "my home"
    home.mkdir()
    (home / "data").symlink_to(FIXTURE)
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    return home


KEYS = ("input", "data.path", "data.tokenizer", "cache.directory")


def test_every_key_that_is_a_path_gets_an_absolute_one(home):
    given = [f'{key}="~/{key}"' for key in KEYS[:3]] + [f"{key}=below/{key}" for key in KEYS[3:]]
    config = with_absolute_paths(composed("experiment=tiny", "data=shards", *given), "/start")
    values = {key: config[key.partition(".")[0]] for key in KEYS}
    found = {key: value[key.partition(".")[2]] if "." in key else value for key, value in values.items()}
    assert found == {key: f"{home}/{key}" for key in KEYS[:3]} | {key: f"/start/below/{key}" for key in KEYS[3:]}
    other = with_absolute_paths(composed("data.cache_dir=c"), "/start")
    assert (other["data"]["cache_dir"], other["input"], other["cache"]["directory"]) == ("/start/c", None, None)


def test_a_home_on_the_command_line(home):
    assert with_home("hydra.run.dir=~/run") == f'hydra.run.dir="{home}/run"'
    assert with_home("--config-dir=~/own") == f"--config-dir={home}/own"
    for argument in ("seed=1", "~ttt", "data.path=~/a,~/b", "--help"):
        assert with_home(argument) == argument


@pytest.mark.slow
def test_runs_take_paths_from_where_the_command_was_given(home, tmp_path, monkeypatch):
    made = golf(home, *TINY, *SHARDS, "hydra.job.chdir=true", "stages=[train,quantize]", "hydra.run.dir=~/made")
    assert made.returncode == 0, made.stderr
    done = golf(home, *TINY, *SHARDS, "stages=[evaluate]", "input=made", "hydra.run.dir=done")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in home.glob("[!.]*")) == ["data", "done", "made"]
    config = yaml.safe_load((home / "done" / "config.yaml").read_text())
    assert (config["input"], config["data"]["path"]) == (f"{home}/made", f"{home}/data")
    monkeypatch.chdir(tmp_path)  # elsewhere
    (run,), without = read_runs([Path("my home/done")])
    assert (set(run.reports), without) == ({"train", "quantize", "evaluate", "ttt"}, {})
    assert json.loads((home / "done" / "evaluate.json").read_text())["inputs"]["artifact.golf"]["path"].startswith("/")
