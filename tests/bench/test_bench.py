"""`python -m golf.bench` on a model small enough to be measured in a moment: what it says, not how fast anything is."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from runs import composed

from golf.bench import growth, stages
from golf.bench.__main__ import main
from golf.bench.optimizer import average_one_by_one, step_one_by_one
from golf.bench.row import Row
from golf.bench.subjects import KNOWN, SUBJECTS
from golf.build import build
from golf.train.ema import EMA

pytestmark = pytest.mark.slow

SMALL = (
    "experiment=tiny",
    "trainer.batch_tokens=256",
    "evaluation.batch_tokens=1024",
    "ttt.chunk_tokens=256",
    "ttt.epochs=1",
    "model.seq_len=64",
    "quantizer.calibration_tokens=256",
)


def bench(output: Path, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["golf.bench", *arguments, "--output", str(output)])
        return main()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """All rows; the job whose stages are timed is a smaller one."""
    output = tmp_path_factory.mktemp("bench") / "bench.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "JOB", SMALL)
        patch.setattr(growth, "SEQUENCES", 4)
        for variable in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
            patch.setenv(variable, "")  # what it sets is undone
        assert bench(output, *SMALL, "--repeats", "2") == 0
    return json.loads(output.read_text())


def measured(found: dict) -> dict[str, dict]:
    return {row["name"]: row for row in found["rows"] if "value" in row}


def test_every_row_is_measured_or_says_why_not(found: dict) -> None:
    assert list(found["seconds"]) == list(SUBJECTS)
    assert {row["name"].partition(".")[0] for row in found["rows"]} == set(SUBJECTS)
    assert {row["name"] for row in found["rows"] if "value" not in row} == set()
    for row in measured(found).values():
        values = [row["value"], *row["repeats"]["value"]]
        if row["plain"] is not None:
            values += [row["plain"], row["ratio"], *row["repeats"]["plain"]]
        positive = row["name"] != "optimizer"  # what it adds is a difference, of little here
        assert all(math.isfinite(value) and (value > 0 or not positive) for value in values), row
        assert row["what"]
        assert row["unit"]


def test_what_is_repeated_is_repeated_beside_the_plain_path(found: dict) -> None:
    rows = measured(found)
    for name in ("step.plain_order", "step.recurrent", "optimizer", "loader", "evaluation.sliding", "gptq.hessians"):
        assert len(rows[name]["repeats"]["value"]) == len(rows[name]["repeats"]["plain"]) == 2
    for name in ("evaluation.ttt", "evaluation.ttt_hash"):
        assert len(rows[name]["repeats"]["value"]) == 2


def test_the_parts_make_the_whole(found: dict) -> None:
    rows = measured(found)
    assert rows["optimizer"]["what"].startswith("clip + step + ema: ")
    shares = [row["details"]["share"] for name, row in rows.items() if name.startswith("stages.")]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(1)
    assert rows["stages"]["details"]["with_start_up_seconds"] > rows["stages"]["value"]


def test_the_same_kernels_find_the_same_codes(found: dict) -> None:
    details = measured(found)["gptq.codes"]["details"]
    assert details == {"equal_codes": 1, "largest_difference": 0, "error_ratio": 1}


def test_the_plain_path_of_the_optimizer_computes_the_same() -> None:
    config = composed(*SMALL, "optimizer.ns_dtype=float32")
    ended = []
    for plain in (False, True):
        torch.manual_seed(0)
        model = build(config["model"])
        optimizer, ema = build(config["optimizer"], model), EMA(model, 0.5)
        for _ in range(2):
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            (step_one_by_one(optimizer) if plain else optimizer.step(0, 1.0))
            (average_one_by_one(ema) if plain else ema.update())
        ended.append([*model.parameters(), *ema.average])
    for batched, single in zip(*ended, strict=True):
        torch.testing.assert_close(batched, single, rtol=1e-4, atol=1e-5)


def test_it_says_on_what_and_of_what(found: dict) -> None:
    assert found["device"]["name"]
    assert found["overrides"] == list(SMALL)
    assert found["choices"]["model"] == "tiny"
    assert found["kernels"] == "plain"
    assert {"torch", "triton"} <= found["versions"].keys()
    assert {"date", "git", "config_sha256", "attention"} <= found.keys()


def test_the_whole_job_is_measured_when_it_is_asked_for(tmp_path: Path) -> None:
    assert bench(tmp_path / "bench.json", *SMALL, "trainer.steps=24", "--only", "whole") == 0
    rows = measured(json.loads((tmp_path / "bench.json").read_text()))
    losses = rows["whole.loss"]["details"]
    assert losses.keys() == {"1", "2", "3", "4", "5", "6", "8", "10", "12", "14", "16", "18", "20", "22", "24"}
    assert losses["24"] == rows["whole.loss"]["value"]
    assert rows["whole.val_bpb"]["value"] == rows["whole.ttt.val_bpb"]["value"]
    assert rows["whole.last_weights.val_bpb"]["value"] != rows["whole.prequant.val_bpb"]["value"]  # the average's
    units = {name: row["unit"] for name, row in rows.items()}
    assert units["whole.train.tokens_per_second"] == "tokens/s"
    assert units["whole.artifact_bytes"] == "bytes"
    assert units["whole.stage_seconds.ttt"] == "s"
    assert units["whole.evaluate.peak_memory"] == "GiB"


def test_a_job_that_fails_says_so(tmp_path: Path) -> None:
    assert bench(tmp_path / "bench.json", *SMALL, "data.val_tokens=1", "--only", "whole") == 0
    (row,) = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert row["skipped"].startswith("the job failed: golf: error: ")


@pytest.mark.parametrize(("unit", "ratio"), [("ms", 2.5), ("tokens/s", 0.4)])
def test_a_ratio_says_how_many_times_better(unit: str, ratio: float) -> None:
    assert Row(name="x", what="x", unit=unit, values=[4, 1, 9], plain=[10, 20, 5]).ratio == ratio


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "stepp"], "did you mean"),
        (["--repeats", "0"], "--repeats 0: must be at least 1"),
        (["experiment=tiny", "trainer.stepz=1"], "trainer.stepz"),
        (["experiment=tiny", "trainer.steps=many"], "trainer.steps: expected int"),
        (["experiment=tiny", "compute.device=cpu", "compute.kernels=triton"], "compute.kernels=triton needs a GPU"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert bench(tmp_path / "bench.json", "--only", "optimizer", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("golf: error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_measured_is_skipped_and_the_rest_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (*SMALL, "quantizer=rtn", "model.vocab_size=321", "--only", "gptq,start,optimizer", "--repeats", "1")
    small = [argument for argument in arguments if not argument.startswith("quantizer.cal")]
    assert bench(tmp_path / "bench.json", *small) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    skipped = {row["name"]: row["skipped"] for row in found["rows"] if "skipped" in row}
    assert skipped.keys() == {"gptq", "start"}
    assert "data.tokenizer=FILE" in skipped["start"]
    assert "optimizer" in measured(found)
    assert f"! gptq is skipped: {skipped['gptq']}" in capsys.readouterr().out


def test_a_row_that_fails_leaves_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr("golf.bench.optimizer.EMA", None)
    assert bench(tmp_path / "bench.json", *SMALL, "--only", "optimizer,step", "--repeats", "1") == 1
    found = json.loads((tmp_path / "bench.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["step.plain_order", "step.recurrent", "optimizer"]
    assert "failed" in found["rows"][-1]
    assert "! optimizer is failed: TypeError" in capsys.readouterr().out


def test_help_shows_the_rows_and_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "golf.bench", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "golf" in imported
    assert not {"torch", "numpy", "rich", "hydra", "omegaconf"} & imported
    for name, what in KNOWN.items():
        assert name in done.stdout
        assert what in done.stdout
