"""The console: bars on a terminal, plain lines elsewhere, the closing table everywhere."""

import io
import re

import pytest
import rich.console

from golf.events import Job
from golf.tracker.console import Console
from golf.utils.shell import quote

RESULTS = {
    "val_bpb": 1.08252,
    "val_loss": 2.79621,
    "unigram": {"val_loss": 6.9, "val_bpb": 3.2},
    "prequant": {"val_loss": 2.81255, "val_bpb": 1.08885},
    "quantized": None,
    "sliding": {"val_loss": 2.80111, "val_bpb": 1.08442},
    "ttt": {"val_loss": 2.79621, "val_bpb": 1.08252},
    "artifact_bytes": 15971049,
    "code_bytes": 17410,
    "total_bytes": 15988459,
    "stage_seconds": {"data": 1.23, "train": 588.04, "quantize": 30.0, "evaluate": 562.7},
}


@pytest.fixture
def job(tmp_path):
    directory = tmp_path / "a folder [with] a name that is far too long for a terminal of eighty columns" / "00-31-44"
    return Job(directory, {}, {"model": "small", "quantizer": "gptq"})


def say_all(job, terminal, results):
    out = io.StringIO()
    console = Console(rich.console.Console(file=out, width=80, force_terminal=terminal, force_interactive=terminal))
    console.start(job)
    console.event("stage_started", stage="train")
    for step in range(1, 1001):
        console.metrics("train", step, loss=3.25, tokens_per_second=7650000.0)
        console.progress("train", step, 1000, loss=3.25)
    console.event("recurrence_on", step=500)
    console.metrics("validate", 1000, val_loss=3.5, val_bpb=1.25)
    for done in (*range(1, 11), *range(1, 10)):
        console.progress("evaluate_sliding", done, 10, val_bpb=1.25)
    console.finish(results)
    return out.getvalue()


def test_no_terminal_plain_text(job):
    text = say_all(job, terminal=False, results=RESULTS)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    lines = text.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["job", "model", "small", "quantizer", "gptq"],
        ["files", *quote(job.directory).split()],
        ["train", "started"],
    ]
    assert lines[3].split() == ["train", "step", "1", "loss", "3.25", "tokens_per_second", "7,650,000"]
    assert ["recurrence", "on", "step", "500"] in [line.split() for line in lines]
    assert ["validate", "step", "1000", "val_loss", "3.5", "val_bpb", "1.25"] in [line.split() for line in lines]
    assert ["evaluate_sliding", "1/10", "val_bpb", "1.25"] in [line.split() for line in lines]
    assert len([line for line in lines if line.startswith("train")]) < 50  # of 2000 said


def test_terminal_one_bar_a_stage(job):
    text = say_all(job, terminal=True, results=None)
    assert "\x1b[" in text
    last_view = text[text.rindex("100%") :]
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden and shown again
    assert " 90%" in last_view  # the second time
    assert f"failed; its files: {quote(job.directory)}" in last_view


def test_a_share_is_shown_in_percent(job):
    out = io.StringIO()
    plain = Console(rich.console.Console(file=out, width=80))
    plain.progress("train", 0.25, 1, loss=3.25)
    assert out.getvalue().split() == ["train", "25%", "loss", "3.25"]
    terminal = Console(rich.console.Console(file=out, width=80, force_terminal=True, force_interactive=True))
    terminal.start(job)
    terminal.progress("train", 0.25, 1)
    terminal.finish(None)
    assert " 25%" in out.getvalue()


def test_the_table_holds_the_numbers(job):
    text = say_all(job, terminal=False, results=RESULTS)
    rows = [re.sub(r"[│┃|]", " ", line).split() for line in text.splitlines()]
    assert ["unigram", "6.90000", "3.20000"] in rows
    assert ["pre-quantization", "2.81255", "1.08885", "-2.11115"] in rows
    assert ["sliding", "2.80111", "1.08442", "-0.00443"] in rows
    assert ["TTT", "2.79621", "1.08252", "-0.00190"] in rows
    assert not any(row[:1] == ["quantized"] for row in rows)
    assert "model 15,971,049 + code 17,410 = total 15,988,459" in text
    assert "data 1.2, train 588.0, quantize 30.0, evaluate 562.7" in text
    assert quote(job.directory) in text.splitlines()[-1]
    assert all(len(line) <= 80 for line in text.splitlines() if quote(job.directory) not in line)


def test_the_table_of_a_job_that_only_trained(job):
    results = dict.fromkeys(RESULTS) | {"prequant": RESULTS["prequant"], "stage_seconds": {"train": 3.0}}
    rows = [line.split() for line in say_all(job, terminal=False, results=results).splitlines()]
    assert ["seconds", "train", "3.0"] in rows
    assert not any(row[:1] == ["bytes"] for row in rows)


def test_ascii_output(job):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(rich.console.Console(file=out, width=80))
    console.progress("data", 1, 2)  # data is opened before the job starts
    console.start(job)
    console.finish(RESULTS)
    out.flush()
    assert b"1.08252" in raw.getvalue()
