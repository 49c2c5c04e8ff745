"""Plots draw what the run directory holds, and only that."""

import subprocess
import sys

import matplotlib.figure
import pytest
from matplotlib.image import imread

from golf.events import Job, Listener
from golf.io.run_directory import RunFiles
from golf.run import plots
from golf.tracker.jsonl import JsonLines

SIZES = {
    "tok_emb.weight": 4000.0,
    "skip_weights": 500.0,
    "blocks.0.attn.c_q.weight": 1000.0,
    "blocks.0.attn_scale": 100.0,
    "blocks.0.mlp.fc.weight": 2000.0,
    "blocks.10.resid_mix": 50.0,
}

RESULT = {"artifact_bytes": 1, "seconds": {"quantize": 1.0, "pack": 1.0}}
DATA = {"tokenizer": {"file": "", "sha256": "", "vocab_size": 1}, "train": [], "val": [], "val_tokens": None}
PROVENANCE = {
    "git": None,
    "code_sha256": "",
    "data": DATA,
    "versions": {},
    "device": {"name": ""},
    "date": "",
    "ranks": 1,
}
RECORD = {
    "stage": "quantize",
    "key": "",
    "seconds": 1.0,
    "resumed": 0,
    "peak_memory_bytes": 0,
    "inputs": {},
    "output": None,
    "config": {},
    "choices": {},
    "provenance": PROVENANCE,
}


@pytest.fixture
def directory(tmp_path):
    listener = JsonLines()
    listener.start(Job(tmp_path, {}, {}))
    for steps in ((1, 2, 3), (2, 3, 4)):  # resumed after step 1
        listener.event("stage_started", stage="train")
        for step in steps:
            listener.metrics("train", step, loss=float("nan") if step == 4 else 6.0 - step, lr_scale=1.0)
    listener.event("stage_finished", stage="train")
    listener.metrics("validate", 4, val_loss=2.5, val_bpb=1.5)
    for chunk in range(3):
        listener.metrics("ttt", chunk, val_bpb=1.5 - chunk / 10, val_loss=3.0, lr=0.005)
    listener.finish(None)
    write_sizes(tmp_path, SIZES)
    return tmp_path


def write_sizes(directory, sizes):
    RunFiles(directory, None).write_report({**RECORD, "result": {**RESULT, "bytes_per_tensor": sizes}})


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn."""
    figures = []
    add = matplotlib.figure.Figure.add_subplot
    monkeypatch.setattr(matplotlib.figure.Figure, "add_subplot", lambda self: figures.append(add(self)) or figures[-1])
    return figures


def test_all_plots(directory):
    paths = plots.plot_all(directory, Listener())
    assert [path.name for path in paths] == ["learning_curve.png", "ttt_curve.png", "bytes_per_tensor.png"]
    for path in paths:
        assert path.parent == directory
        height, width, _ = imread(path).shape
        assert min(height, width) > 100


def test_what_has_no_data_is_left_out(directory):
    write_sizes(directory, {})
    assert len(plots.plot_all(directory, Listener())) == 2
    (directory / "metrics.jsonl").unlink()
    (directory / "quantize.json").unlink()
    assert plots.plot_all(directory, Listener()) == []


def test_curves(directory, drawn):
    plots.learning_curve(directory)
    plots.ttt_curve(directory)
    learning, ttt = drawn
    train, validation = learning.lines
    assert train.get_xydata()[:3].tolist() == [[1, 5], [2, 4], [3, 3]]
    assert validation.get_xydata().tolist() == [[4, 2.5]]
    assert ttt.lines[0].get_xydata().tolist() == [[0, 1.5], [1, 1.4], [2, 1.3]]


def test_bytes_are_grouped_by_layer_and_kind(directory, drawn):
    plots.bytes_per_tensor(directory)
    (axes,) = drawn
    assert [label.get_text() for label in axes.get_yticklabels()] == ["shared", "layer 0", "layer 10"]
    bars = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert list(bars) == ["attention", "mlp", "embedding", "other"]
    assert bars["attention"] == pytest.approx([0, 1.1, 0])
    assert bars["mlp"] == pytest.approx([0, 2, 0])
    assert bars["embedding"] == pytest.approx([4, 0, 0])
    assert bars["other"] == pytest.approx([0.5, 0, 0.05])
    ends = [max(bar.get_x() + bar.get_width() for bar in row) for row in zip(*axes.containers, strict=True)]
    assert ends == pytest.approx([4.5, 3.1, 0.05])


def test_importing_is_light():
    program = "import sys, golf.run.plots, golf.tracker.console, golf.tracker.wandb, golf.tracker.none\n"
    program += "print({'matplotlib', 'wandb', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
