"""PNGs of one run directory: learning curve, TTT curve, bytes per tensor."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from golf.errors import one_line
from golf.events import Listener
from golf.io.run_directory import RunFiles
from golf.run.drawing import BLUE, GREEN, GREY, RED, new_figure, save
from golf.tracker.jsonl import read_metrics

GROUPS = {"attention": BLUE, "mlp": RED, "embedding": GREEN, "other": GREY}
PARTS = {"attn": "attention", "mlp": "mlp", "emb": "embedding"}  # part of a tensor's name → its group


def plot_all(directory: Path, events: Listener) -> list[Path]:
    """Draw every plot that has data; returns those written. The event `not_drawn` names the failed ones."""
    drawn, failed = [], {}
    for plot in (learning_curve, ttt_curve, bytes_per_tensor):
        try:
            drawn.append(plot(directory))
        except Exception as error:
            failed[plot.__name__] = one_line(error)
    if failed:
        events.event("not_drawn", **failed)
    return [path for path in drawn if path is not None]


def learning_curve(directory: Path) -> Path | None:
    """learning_curve.png: training and validation loss in nats per token over optimizer steps; None without data."""
    lines = read_metrics(directory)
    train, validation = _curve(lines, "train", "loss"), _curve(lines, "validate", "val_loss")
    if not train and not validation:
        return None
    figure, axes = new_figure("Learning curve", "optimizer step", "loss (nats per token)")
    if train:
        axes.plot(*zip(*train, strict=True), color=BLUE, linewidth=1, label="training batch")
    if validation:
        axes.plot(*zip(*validation, strict=True), color=RED, marker="o", markersize=4, label="validation")
    axes.legend(frameon=False)
    return save(figure, directory / "learning_curve.png")


def ttt_curve(directory: Path) -> Path | None:
    """ttt_curve.png: bits per byte over all tokens scored so far, after each chunk; None without data."""
    if not (running := _curve(read_metrics(directory), "ttt", "val_bpb")):
        return None
    figure, axes = new_figure("Test-time training", "chunk", "running bits per byte")
    axes.plot(*zip(*running, strict=True), color=BLUE, marker="o" if len(running) < 50 else None, markersize=4)
    axes.annotate(
        f"{running[-1][1]:.4f}", running[-1], xytext=(0, 8), textcoords="offset points", ha="right", color=BLUE
    )
    return save(figure, directory / "ttt_curve.png")


def bytes_per_tensor(directory: Path) -> Path | None:
    """bytes_per_tensor.png: estimated bytes in the artifact by layer and kind of tensor; None without data."""
    report = RunFiles(directory, source=None).read_report("quantize")
    sizes = report["result"].get("bytes_per_tensor") if report else None
    if not sizes:
        return None
    table: dict[int, dict[str, float]] = {}
    for name, size in sizes.items():
        table.setdefault(layer_of(name), dict.fromkeys(GROUPS, 0.0))[group_of(name)] += size / 1000
    layers = sorted(table)
    labels = [f"layer {layer}" if layer >= 0 else "shared" for layer in layers]

    figure, axes = new_figure(
        "Bytes per tensor", f"kB in the artifact (estimate, {sum(sizes.values()):,.0f} B in all)", ""
    )
    figure.set_figheight(1.4 + 0.32 * len(layers))
    left = [0.0] * len(layers)
    for group, colour in GROUPS.items():
        width = [table[layer][group] for layer in layers]
        if any(width):
            axes.barh(labels, width, left=left, color=colour, label=group)
            left = [a + b for a, b in zip(left, width, strict=True)]
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return save(figure, directory / "bytes_per_tensor.png")


def _curve(lines: Iterable[dict[str, Any]], stage: str, name: str) -> list[tuple[int, float]]:
    return [(line["step"], float(line[name])) for line in lines if line["stage"] == stage and name in line]


def layer_of(tensor: str) -> int:
    match = re.search(r"\bblocks\.(\d+)\.", tensor)
    return int(match[1]) if match else -1


def group_of(tensor: str) -> str:
    return next((group for part, group in PARTS.items() if part in tensor), "other")
