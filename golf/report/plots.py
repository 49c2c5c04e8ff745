"""The report's PNGs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from golf.io.limits import TOTAL_BYTES
from golf.report.runs import Run
from golf.report.statistics import Difference, spread
from golf.report.tables import Variants, quantized, trained
from golf.report.variants import by_seed
from golf.run.drawing import BLUE, GREEN, GREY, RED, new_figure, save
from golf.run.plots import GROUPS, group_of

COLOURS = (BLUE, RED, GREEN, "#ccbb44", "#66ccee", "#aa3377", GREY)


def draw(
    of: Variants, found: Mapping[str, Difference | None], reference: str, metric: str, directory: Path
) -> list[Path]:
    """Write every plot that has data; returns the files."""
    drawn = [
        _scores(of, metric, directory / "scores.png"),
        _differences(found, reference, metric, directory / "differences.png"),
        _curves(
            trained(of), "train", "loss", "Training", "optimizer step", "loss (nats per token)", directory / "train.png"
        ),
        _curves(of, "ttt", "val_bpb", "Test-time training", "chunk", "running bits per byte", directory / "ttt.png"),
        _bytes(quantized(of), directory / "bytes.png"),
    ]
    return [path for path in drawn if path is not None]


def _scores(of: Variants, metric: str, path: Path) -> Path:
    figure, axes = new_figure("Score by seed and variant", metric, "")
    figure.set_figheight(1.6 + 0.4 * len(of))
    for row, runs in enumerate(of.values()):
        scores = by_seed(runs, metric)
        all_ = spread(scores.values())
        axes.errorbar(all_.mean, row, xerr=all_.std, fmt="|", color=BLUE, capsize=4, markersize=14)
        axes.plot(list(scores.values()), [row] * len(scores), "o", color=RED, markersize=4, alpha=0.7)
    _names_of_rows(axes, list(of))
    return save(figure, path)


def _differences(found: Mapping[str, Difference | None], reference: str, metric: str, path: Path) -> Path | None:
    known = {name: difference for name, difference in found.items() if difference is not None}
    if not known:
        return None
    figure, axes = new_figure(f"Difference to {reference}", f"{metric}, variant − reference, 95 % confidence", "")
    figure.set_figheight(1.6 + 0.4 * len(known))
    axes.axvline(0, color=GREY)
    for row, difference in enumerate(known.values()):
        mean, low, high = difference.mean, difference.low, difference.high
        width = None if low is None or high is None else [[mean - low], [high - mean]]
        axes.errorbar(mean, row, xerr=width, fmt="o", color=BLUE, capsize=4)
    _names_of_rows(axes, list(known))
    return save(figure, path)


def _curves(of: Variants, stage: str, name: str, title: str, x: str, y: str, path: Path) -> Path | None:
    """Mean over the seeds at the steps that all of them have, with a band of one sample standard deviation."""
    curves = {variant: _same_steps([run.curve(stage, name) for run in runs]) for variant, runs in of.items()}
    if not any(len(steps) for steps, _ in curves.values()):
        return None
    figure, axes = new_figure(title, x, y)
    for i, (variant, (steps, values)) in enumerate(curves.items()):
        if not len(steps):
            continue
        colour, dashes = COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--"
        mean = values.mean(axis=0)
        marker = "o" if len(steps) < 20 else None
        axes.plot(steps, mean, color=colour, linestyle=dashes, linewidth=1, marker=marker, markersize=3, label=variant)
        if len(values) > 1:
            std = values.std(axis=0, ddof=1)
            axes.fill_between(steps, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    axes.legend(frameon=False, fontsize="small")
    return save(figure, path)


def _same_steps(curves: Sequence[Mapping[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and values (curves, steps); empty curves are left out."""
    found = [curve for curve in curves if curve]
    steps = sorted(set.intersection(*(set(curve) for curve in found))) if found else []
    return np.array(steps), np.array([[curve[step] for step in steps] for curve in found])


def _bytes(made: Variants, path: Path) -> Path | None:
    if not made:
        return None
    figure, axes = new_figure("Bytes in the artifact (estimate)", f"MB; {TOTAL_BYTES / 1e6:g} MB are the limit", "")
    figure.set_figheight(1.8 + 0.4 * len(made))
    left = np.zeros(len(made))
    for group, colour in GROUPS.items():
        width = np.array([fmean(_of_group(run, group) for run in runs) / 1e6 for runs in made.values()])
        if width.any():
            axes.barh(range(len(made)), width, left=left, color=colour, label=group, height=0.6)
            left += width
    if left.max() > 0.5 * TOTAL_BYTES / 1e6:  # else it would squeeze the bars
        axes.axvline(TOTAL_BYTES / 1e6, color=RED, linestyle=":", label="limit")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    _names_of_rows(axes, list(made))
    return save(figure, path)


def _of_group(run: Run, group: str) -> float:
    sizes: dict[str, float] = run.reports["quantize"]["result"]["bytes_per_tensor"]
    return sum(size for tensor, size in sizes.items() if group_of(tensor) == group)


def _names_of_rows(axes, names: Sequence[str]) -> None:  # type: ignore[no-untyped-def]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
