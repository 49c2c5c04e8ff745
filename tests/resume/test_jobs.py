"""A job that was cut off, run again in its directory, leaves what one leaves that was not."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cutting import Cut
from runs import run

from golf.cache.prune import held
from golf.io.event_file import EVENTS
from golf.resume.checkpointer import LoopState
from golf.resume.snapshots import Checkpointer
from golf.tracker import jsonl
from golf.train.training_state import TrainingState
from golf.ttt.adaptation_state import AdaptationState

pytestmark = pytest.mark.slow

QUICK = ("trainer.steps=4", "trainer.batch_tokens=256", "trainer.micro_batches=1", "quantizer.calibration_batches=1")
SCORES = ("prequant", "quantized", "sliding", "ttt")
CLOCKS = {"time", "tokens_per_second", "seconds"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("whole")
    run(directory / "run", "cache=on", f"cache.directory={directory / 'cache'}", *QUICK)
    return directory


def cut_after(state: type, rounds: int, directory: Path, *overrides: str) -> None:
    """Run a job that ends once the state of so many rounds is saved."""
    save = Checkpointer.save

    def cut(self: Checkpointer, kept: LoopState, done: int, *more: Any) -> None:
        save(self, kept, done, *more)
        if isinstance(kept, state) and done == rounds:
            raise Cut

    with patch.object(Checkpointer, "save", cut), pytest.raises(Cut):
        run(directory, *overrides)


def curves(directory: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in CLOCKS} for line in jsonl.read_metrics(directory)]


def told(directory: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in jsonl.read(directory) if line["kind"] == "event" and line["name"] == name]


def record(directory: Path, stage: str) -> dict[str, Any]:
    return json.loads((directory / f"{stage}.json").read_text())


def said(cache: Path) -> list[Any]:
    """What the stages' entries tell, but for what a clock says."""
    found = [json.loads((entry.path / EVENTS).read_text()) for entry in held(cache)]
    return sorted(
        [[kind, name, step, {k: v for k, v in values.items() if k not in CLOCKS}] for kind, name, step, values in one]
        for one in found
    )


@pytest.mark.parametrize("cache", ["on", "off"])
def test_it_leaves_the_same(whole, tmp_path, cache):
    settings = [*QUICK, "resume.every_seconds=0"]
    if cache == "on":
        settings += ["cache=on", f"cache.directory={tmp_path / 'cache'}"]
    for state, rounds in ((TrainingState, 2), (AdaptationState, 1)):
        cut_after(state, rounds, tmp_path / "run", *settings)
    results = run(tmp_path / "run", *settings)
    expected = json.loads((whole / "run" / "results.json").read_text())
    assert {name: results[name] for name in SCORES} == {name: expected[name] for name in SCORES}
    assert (tmp_path / "run" / "artifact.golf").read_bytes() == (whole / "run" / "artifact.golf").read_bytes()
    assert curves(tmp_path / "run") == curves(whole / "run")
    resumed = {"train": 1, "quantize": 0, "evaluate": 0, "ttt": 1}
    if cache == "on":
        assert said(tmp_path / "cache") == said(whole / "cache")
        assert [line["stage"] for line in told(tmp_path / "run", "resumed")] == ["train", "ttt"]
    else:  # once more, from after the last step
        resumed["train"] = 2
        assert [line["done"] for line in told(tmp_path / "run", "resumed")] == [2, 4, 1]
    assert {stage: record(tmp_path / "run", stage)["resumed"] for stage in resumed} == resumed
    assert {stage: made["resumed"] for stage, made in results["stages"].items()} == resumed
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {path.name for path in (whole / "run").iterdir()}  # no snapshot is left


def test_another_configuration_begins_anew(tmp_path):
    settings = (*QUICK, "stages=[train]", "resume.every_seconds=0")
    cut_after(TrainingState, 2, tmp_path / "run", *settings)
    results = run(tmp_path / "run", *settings, "seed=7", "overwrite=true")
    assert results["prequant"] == run(tmp_path / "other", *settings, "seed=7")["prequant"]
    (ignored,) = told(tmp_path / "run", "snapshot_ignored")
    assert ignored["because"] == "other code, configuration, data or processes made it"
    assert told(tmp_path / "run", "resumed") == []


def test_off(tmp_path):
    with patch.object(Checkpointer, "__init__", None):
        run(tmp_path, *QUICK, "stages=[train]", "resume=off")
    assert told(tmp_path, "saved") == []


def test_resuming_does_not_depend_on_the_saving_interval(tmp_path):
    """Nor does the stage's key."""
    settings = (*QUICK, "stages=[train]")
    cut_after(TrainingState, 2, tmp_path, *settings, "resume.every_seconds=0")
    run(tmp_path, *settings, "resume.every_seconds=100")
    assert [line["done"] for line in told(tmp_path, "saved")] == [1, 2, 4]
    assert record(tmp_path, "train")["resumed"] == 1
