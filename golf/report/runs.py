"""Reads the runs below directories."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from golf.errors import UserError, excerpt
from golf.io.run_directory import CONFIG, read_config, read_reports, read_results
from golf.sweep import status
from golf.tracker.jsonl import metrics_that_hold, read


@dataclass(frozen=True)
class Run:
    """A finished run with all its files, checked for their forms.

    reports: of the stages that made its score, by name, as far as they exist; tracker: the tracker's configuration;
    lines: of metrics.jsonl; started: from its job's status, in seconds since 1970.
    """

    directory: Path
    results: Mapping[str, Any]
    reports: Mapping[str, Mapping[str, Any]]
    tracker: Mapping[str, Any]
    lines: Sequence[dict[str, Any]]
    started: float

    @property
    def seed(self) -> int:
        """The seed of the training; −1 if unknown."""
        seed = self.results["seed"]
        return -1 if seed is None else seed

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of each group in the stages that made the score."""
        return {group: value for report in self.reports.values() for group, value in report["config"].items()}

    @property
    def scored_on(self) -> dict[str, Any]:
        """The tokens that were scored: digests of tokenizer and validation shards, and how many."""
        data = self.results["provenance"]["data"]
        return {"tokenizer": data["tokenizer"]["sha256"], "val": data["val"], "val_tokens": data["val_tokens"]}

    @cached_property
    def val_targets(self) -> int | None:
        """The number of scored tokens, None if unknown."""
        found = [line.get("val") for line in self.lines if line["kind"] == "event" and line["name"] == "data"]
        return found[-1] if found else None

    @property
    def bytes_per_token(self) -> float:
        """Bytes per scored token."""
        return float(self.results["val_loss"] / math.log(2) / self.results["val_bpb"])

    def curve(self, stage: str, name: str) -> dict[int, float]:
        """The values of a curve by step."""
        lines = self._metrics
        return {line["step"]: float(line[name]) for line in lines if line["stage"] == stage and name in line}

    @cached_property
    def _metrics(self) -> list[dict[str, Any]]:
        return metrics_that_hold(self.lines)


class Without(NamedTuple):
    """Why a run has no score. `damaged`: its files cannot be read."""

    reason: str
    damaged: bool


def read_runs(directories: Iterable[Path]) -> tuple[list[Run], dict[Path, Without]]:
    """The runs with a score in or below the directories, by start time, and why others have none.

    Raises UserError if there are none.
    """
    asked = list(directories)
    for directory in asked:
        if not directory.is_dir():
            raise UserError(f"{directory}: is not a directory; give those of runs or sweeps")
    # A job that failed early has only one of the two. W&B keeps a config.yaml of its own.
    files = {
        path: path.relative_to(directory)
        for directory in asked
        for name in (CONFIG, status.FILE)
        for path in directory.rglob(name)
    }
    found = {path.parent for path, below in files.items() if "wandb" not in below.parts}
    runs, without = [], {}
    for directory in sorted(found):
        try:
            results, job = read_results(directory), status.load(directory)
            if results is None or results["val_bpb"] is None or results["val_loss"] is None:
                without[directory] = Without(_why(results, job), damaged=False)
            else:
                runs.append(_run(directory, results, job))
        except (UserError, OSError) as error:
            without[directory] = Without(f"cannot be read ({excerpt(str(error))})", damaged=True)
    if not runs:
        raise UserError(f"{', '.join(map(str, asked))}: hold no run with a score; give directories of runs or sweeps")
    return sorted(runs, key=lambda run: (run.started, run.results["provenance"]["date"])), without


def _run(directory: Path, results: Mapping[str, Any], job: Mapping[str, Any] | None) -> Run:
    config = read_config(directory)
    reports = _reports(directory, config["input"], results)
    return Run(directory, results, reports, config["tracker"], read(directory), job["started"] if job else math.inf)


def _reports(directory: Path, source: str | None, results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Reports of the stages that results.json names, from this run and from its input run."""
    there = [report for folder in (directory, source) if folder for report in read_reports(Path(folder))]
    by_key = {report["key"]: report for report in there}
    return {stage: by_key[made["key"]] for stage, made in results["stages"].items() if made["key"] in by_key}


def _why(results: Mapping[str, Any] | None, job: Mapping[str, Any] | None) -> str:
    if results is not None:
        return "scored nothing"
    lines = ((job or {}).get("error") or "did not end").strip().splitlines() or ["did not end"]
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def differing(values: Sequence[Any]) -> bool:
    """Whether the values differ as JSON."""
    return len({json.dumps(value, sort_keys=True) for value in values}) > 1
