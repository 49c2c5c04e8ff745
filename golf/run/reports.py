"""The reports of which results.json is made: of this run's stages, and of those that made what they read."""

from collections.abc import Mapping, Sequence
from typing import Any

from golf.io.run_directory import RunFiles
from golf.run.results import same_targets
from golf.stages.order import STAGES
from golf.stages.stage import Stage

Report = dict[str, Any]


def reports_of(stages: Sequence[Stage], files: RunFiles) -> dict[str, Report]:
    """By stage: the reports of those that ran, of those before them that made, byte for byte, what they read, and of
    an earlier evaluation of what TTT alone adapts to."""
    reports: dict[str, Report] = {}
    read: dict[str, str] = {}
    for stage in reversed(STAGES):
        report = files.read_report(stage.name)
        if report is None:
            continue
        made_input = stage.writes in read and report["output"] == {stage.writes: read[stage.writes]}
        scored_input = stage.writes is None and any(_score_alike(report, other) for other in reports.values())
        if stage in stages or made_input or scored_input:
            reports = {stage.name: report} | reports
            read |= {name: source["sha256"] for name, source in report["inputs"].items()}
    return reports


def _score_alike(one: Report, other: Report) -> bool:
    """Whether two stages scored the same files, by the same model and evaluation, on the same tokens."""
    read = [{name: source["sha256"] for name, source in report["inputs"].items()} for report in (one, other)]
    alike = all(one["config"].get(group) == other["config"].get(group) for group in ("model", "evaluation"))
    return read[0] == read[1] and alike and same_targets(one["provenance"]["data"], other["provenance"]["data"])


def choices_of(reports: Mapping[str, Report], choices: Mapping[str, str]) -> dict[str, str | None]:
    """The option of each config group that made the score: that of the last stage which used the group; None if no
    report tells; and this run's choice for the groups that no stage uses."""
    known: dict[str, str | None] = {group: None for stage in STAGES for group in stage.groups if group != "seed"}
    for stage in STAGES:
        known |= reports.get(stage.name, {}).get("choices", {})
    return {**choices, **known}
