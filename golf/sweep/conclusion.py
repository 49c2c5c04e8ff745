"""The end of a sweep: a table of its jobs, and how the command ends."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golf.errors import Ended, Stopped
from golf.io.run_directory import MULTIRUN
from golf.resume.command import resume_command
from golf.sweep import status
from golf.sweep.job_name import NOT_ASKED, without
from golf.utils import run_lock
from golf.utils.shell import quote
from golf.utils.terminal import plain_text


def conclude(
    directory: Path,
    objectives: Sequence[str],
    lost: Sequence[Sequence[str]] = (),
    left_out: Sequence[tuple[Sequence[str], str]] = (),
    stopped: BaseException | None = None,
) -> None:
    """Print the table of all jobs in the sweep's directory.

    lost: the overrides of jobs that left nothing there. left_out: of combinations that were not run, and why. stopped:
    what ended the sweep before its time; if no job had begun, a mistake was made, and the sweep leaves nothing.

    Raises Ended: with a signal's code if one ended the sweep, else with the code 1 if a job failed, else `stopped` if
    there is one.
    """
    jobs = [job for _, job in status.found(directory)]
    if stopped is not None and not jobs:
        if {path.name for path in directory.glob("*")} - {run_lock.FILE} == {MULTIRUN}:
            (directory / MULTIRUN).unlink()
            (directory / run_lock.FILE).unlink(missing_ok=True)  # this process holds it
            directory.rmdir()
        raise stopped
    _print(sorted(jobs, key=lambda job: job["started"]), objectives, lost, left_out)
    again = resume_command(directory)
    if isinstance(stopped, KeyboardInterrupt):
        stopped = Stopped(signal.SIGINT)
    if isinstance(stopped, Stopped):
        raise Ended(f"{stopped}; {again} goes on", code=stopped.exit_code)
    failures = sum(job["state"] != "done" for job in jobs) + len(lost)
    if failures:
        reason = "" if stopped is None else f"{stopped}\n"
        raise Ended(f"{reason}{failures} of {len(jobs) + len(lost)} jobs failed; {again} runs them again", code=1)
    if stopped is not None:
        raise stopped


def _print(
    jobs: Sequence[dict[str, Any]],
    objectives: Sequence[str],
    lost: Sequence[Sequence[str]],
    left_out: Sequence[tuple[Sequence[str], str]],
) -> None:
    """As wide as it is, and below it why jobs have no numbers: what is cut or folded cannot be pasted."""
    from rich.console import Console  # heavy for a module that every start of Hydra imports
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    every = [*(job["overrides"] for job in jobs), *lost, *(overrides for overrides, _ in left_out)]
    alike = set.intersection(*map(set, every)) if len(every) > 1 else set()

    def asked(overrides: Sequence[str]) -> str:
        return " ".join(quote(override) for override in without(NOT_ASKED, overrides) if override not in alike)

    table = Table("job", "state", *objectives)
    reasons = []
    for job in jobs:
        numbers = [_number((job["objectives"] or {}).get(name)) for name in objectives]
        table.add_row(Text(asked(job["overrides"])), job["state"], *numbers)
        if job["error"]:
            lines = job["error"].strip().splitlines()
            # A mistake is told in its first line, a traceback in its last.
            reason = lines[-1] if lines[0].startswith("Traceback") else lines[0]
            reasons.append(f"{asked(job['overrides'])} {job['state']}: {reason}")
    for overrides in lost:
        table.add_row(Text(asked(overrides)), "lost")
        reasons.append(f"{asked(overrides)} lost: it left no {status.FILE}; do all hosts see the same directory?")
    reasons += [f"{asked(overrides)} left out: {reason}" for overrides, reason in left_out]
    console = Console()
    wide = console.options.update(max_width=10**6)
    console.width = max(console.width, Measurement.get(console, wide, table).maximum)
    console.print(table)
    for reason in reasons:
        console.print(plain_text(reason), soft_wrap=True)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.5f}"
