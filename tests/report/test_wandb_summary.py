"""The report of a sweep in W&B, for real and offline: its run, its tables, and that it fails nothing."""

import json
import os
from pathlib import Path

import pytest
from servers import refusing
from wandb_reader import runs

from golf.report.wandb_summary import COLUMNS, log_deltas

pytestmark = pytest.mark.usefixtures("wandb_home", "fresh_wandb")
GROUP = "2026-11-23/10-15-00"
DELTA = {"variant": "ttt=none", "baseline": "ttt=score_first", "metric": "val_bpb", "seeds": 3}
NUMBERS = {"mean": 0.02, "low": 0.01, "high": 0.03, "p": 0.004}
DELTAS = [
    DELTA | NUMBERS,
    DELTA | {"variant": "ttt.epochs=0", "seeds": 1, "mean": -0.5, "low": None, "high": None, "p": None},
    DELTA | NUMBERS | {"metric": "total_bytes"},
]


def said(caplog) -> list[str]:
    """Not by W&B itself, whose lines pytest sees too."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("golf")]


def report(directory: Path, **changes: str | None) -> None:
    tracker = {"project": "golf", "entity": None, "group": GROUP, "mode": "offline", "probe_seconds": 3.0}
    log_deltas(DELTAS, directory, tracker | changes)


def table(directory: Path, run_summary: dict, name: str) -> dict:
    (path,) = directory.glob(f"wandb/offline-run-*/files/{run_summary[f'{name}/path']}")
    return json.loads(path.read_text())


def test_one_run_of_the_sweep_group_holds_a_table_per_metric(tmp_path, wandb_home):
    report(tmp_path)
    (run,) = runs(tmp_path)
    assert (run.project, run.group, run.job_type, run.exit_code) == ("golf", GROUP, "report", 0)
    assert table(tmp_path, run.summary, "ablations/val_bpb") == {
        "columns": list(COLUMNS),
        "data": [
            [GROUP, "ttt=none", "ttt=score_first", 3, 0.02, 0.01, 0.03, 0.004],
            [GROUP, "ttt.epochs=0", "ttt=score_first", 1, -0.5, None, None, None],
        ],
    }
    assert table(tmp_path, run.summary, "ablations/total_bytes")["data"] == [
        [GROUP, "ttt=none", "ttt=score_first", 3, 0.02, 0.01, 0.03, 0.004]
    ]
    assert list(wandb_home.rglob("*")) == []
    assert os.listdir(tmp_path) == ["wandb"]


def test_a_report_again_continues_its_run(tmp_path, caplog):
    for _ in range(3):  # within a second, by which W&B names its folders
        report(tmp_path)
    assert len({run.id for run in runs(tmp_path)}) == 1
    folders = sorted(str(path) for path in tmp_path.glob("wandb/offline-run-*"))
    assert said(caplog)[-1].endswith(" ".join(["wandb", "sync", *folders]))


@pytest.mark.parametrize("mode", ["auto", "online"])
def test_without_a_key_or_a_server_it_is_offline(mode, tmp_path, monkeypatch, caplog):
    report(tmp_path / "no_key", mode=mode)
    assert "no key for" in caplog.text
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_BASE_URL", refusing())
    if mode == "auto":
        report(tmp_path / "no_server", mode=mode)
        assert "no answer from" in caplog.text
        assert len(runs(tmp_path / "no_server")) == 1
    assert len(runs(tmp_path / "no_key")) == 1


def test_an_error_of_wandb_is_one_warning(tmp_path, caplog):
    report(tmp_path, project="no/such:name")
    (line,) = said(caplog)
    assert "Invalid project name" in line


def test_disabled_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    report(tmp_path, mode="auto")
    assert runs(tmp_path) == []
