"""The end of a sweep: a table of its jobs, and how the command ends."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golf import occupied
from golf.errors import Ended
from golf.sweep import status
from golf.sweep.job_name import NOT_ASKED, without
from golf.terminal import plain_text, printable


def conclude(
    directory: Path,
    objectives: Sequence[str],
    lost: Sequence[Sequence[str]] = (),
    left_out: Sequence[tuple[Sequence[str], str]] = (),
    stopped: Exception | None = None,
) -> None:
    """Print the table of all jobs in the sweep's directory.

    lost: the overrides of jobs that left nothing there. left_out: of combinations that were not run, and why. stopped:
    what ended the sweep before its time; if no job had begun, a mistake was made, and the sweep leaves nothing.

    Raises Ended with the code 1 if a job failed, else `stopped` if there is one.
    """
    jobs = [job for path in directory.rglob(status.FILE) if (job := status.read(path.parent)) is not None]
    if stopped is not None and not jobs:
        if {path.name for path in directory.glob("*")} - {occupied.FILE} == {"multirun.yaml"}:
            shutil.rmtree(directory)
        raise stopped
    _print(sorted(jobs, key=lambda job: job["started"]), objectives, lost, left_out)
    failures = sum(job["state"] != "done" for job in jobs) + len(lost)
    if failures:
        reason = "" if stopped is None else f"{stopped}\n"
        again = f"the same command with sweep.resume={directory} runs them again"
        raise Ended(f"{reason}{failures} of {len(jobs) + len(lost)} jobs failed; {again}", code=1)
    if stopped is not None:
        raise stopped


def _print(
    jobs: Sequence[dict[str, Any]],
    objectives: Sequence[str],
    lost: Sequence[Sequence[str]],
    left_out: Sequence[tuple[Sequence[str], str]],
) -> None:
    from rich.console import Console  # heavy for a module that every start of Hydra imports
    from rich.table import Table
    from rich.text import Text

    table = Table("job", "state", *objectives, "what happened")
    alike: set[str] = set.intersection(*(set(job["overrides"]) for job in jobs)) if jobs else set()

    def row(overrides: Sequence[str], state: str, values: dict[str, float] | None = None, error: str = "") -> None:
        asked = " ".join(override for override in without(NOT_ASKED, overrides) if override not in alike)
        numbers = [_number(None if values is None else values.get(name)) for name in objectives]
        lines = error.strip().splitlines()
        # A mistake is told in its first line, a traceback in its last.
        what = "" if not lines else lines[-1] if lines[0].startswith("Traceback") else lines[0]
        table.add_row(Text(printable(asked), overflow="fold"), plain_text(state), *numbers, plain_text(what))

    for job in jobs:
        row(job["overrides"], job["state"], job["objectives"], job["error"] or "")
    for overrides in lost:
        row(overrides, "lost", error=f"it left no {status.FILE}; do all hosts see the same directory?")
    for overrides, reason in left_out:
        row(overrides, "left out", error=reason)
    Console().print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
