"""Caveats of a comparison: differences between runs besides their variants."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from golf.report.baseline import Baseline
from golf.report.runs import Run, Without, differing
from golf.utils.shell import quote

LONGEST = 64  # characters of a value that are shown


def flags(
    variants: Mapping[str, Sequence[Run]], without: Mapping[Path, Without], baseline: Baseline | None
) -> list[str]:
    """One line per caveat."""
    runs = [run for of_variant in variants.values() for run in of_variant]
    return [
        *(f"{quote(directory)} has no score: {why.reason}" for directory, why in without.items()),
        *_twice(variants),
        *_different(runs),
        *_unknown(runs),
        *([] if baseline is None else _other_text(runs, baseline)),
    ]


def _twice(variants: Mapping[str, Sequence[Run]]) -> list[str]:
    lines = []
    for name, runs in variants.items():
        seeds = [run.seed for run in runs]
        lines += [
            f"{name}: seed {seed} ran {seeds.count(seed)} times; the last one counts"
            for seed in dict.fromkeys(seeds)
            if seeds.count(seed) > 1
        ]
    return lines


def _different(runs: Sequence[Run]) -> list[str]:
    """Facts that should be the same for all runs but differ."""
    facts: dict[str, list[Any]] = {
        "the training data": [_trained_on(run) for run in runs],
        "the scored data": [run.scored_on for run in runs],
    }
    for stage in dict.fromkeys(stage for run in runs for stage in run.results["stages"]):
        made = [run.results["stages"].get(stage, {}) for run in runs]
        for what, key in (("code", "code_sha256"), ("device", "device"), ("number of processes", "ranks")):
            facts[f"{stage}: the {what}"] = [fact.get(key) for fact in made]
    lines = []
    for what, values in facts.items():
        known = [(run, value) for run, value in zip(runs, values, strict=True) if value is not None]
        if differing([value for _, value in known]):
            lines.append(f"{what} differs: {_who(known)}")
    dirty = [run.directory.name for run in runs if any((made["git"] or {}).get("dirty") for made in _stages(run))]
    if dirty:
        lines.append(f"code that was not committed made {len(dirty)} of {len(runs)} runs, {dirty[0]} for one")
    return lines


def _unknown(runs: Sequence[Run]) -> list[str]:
    """Runs whose score was made by stages without a report."""
    return [
        f"{run.directory.name}: the report of {stage}, which made its score, is gone; its configuration is not compared"
        for run in runs
        for stage in run.results["stages"]
        if stage not in run.reports
    ]


def _other_text(runs: Sequence[Run], baseline: Baseline) -> list[str]:
    if all(baseline.scored_the_same(run) for run in runs):
        return []
    return [
        f"the baseline ({baseline.name}) was not scored on the same tokens; bits per byte alone are compared with it, "
        "and they mean nothing unless the text is the same"
    ]


def _trained_on(run: Run) -> Any:
    """Digests of the training shards, where they are known."""
    report = run.reports.get("train")
    return None if report is None else report["provenance"]["data"]["train"]


def _stages(run: Run) -> Sequence[Mapping[str, Any]]:
    return list(run.results["stages"].values())


def _who(known: Sequence[tuple[Run, Any]]) -> str:
    """The number of runs with each value, and the first of them."""
    having: dict[str, list[Run]] = {}
    for run, value in known:
        having.setdefault(value if isinstance(value, str) else json.dumps(value, sort_keys=True), []).append(run)
    return "; ".join(
        f"{f'{value[:12]} ' if len(value) <= LONGEST else ''}in {len(runs)} ({runs[0].directory.name} for one)"
        for value, runs in having.items()
    )
