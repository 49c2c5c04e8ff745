"""Runs all checks and prints their findings."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from golf.errors import UserError, require
from golf.io.run_directory import ARTIFACT
from golf.submit.folder import COMPLIANCE, README, REQUIREMENTS, SCRIPT, SUBMISSION
from golf.utils.terminal import plain_text
from golf.verify.artifact import artifact
from golf.verify.files import files
from golf.verify.finding import Finding, Verdict
from golf.verify.logs import beyond, logs
from golf.verify.score import repeated_score
from golf.verify.script import requirement_list, script
from golf.verify.statements import compliance, read_me, statement
from golf.verify.submission_folder import SubmissionFolder

Check = Callable[[SubmissionFolder], Iterator[Finding]]
CHECKS: dict[str, Check] = {
    "files": files,
    SCRIPT: script,
    REQUIREMENTS: requirement_list,
    "logs": logs,
    ARTIFACT: artifact,
    SUBMISSION: statement,
    COMPLIANCE: compliance,
    README: read_me,
    "score": repeated_score,
    "training": beyond,
}
STYLES: dict[Verdict, str] = {"held": "green", "failed": "bold red", "not checked": "yellow"}


def verify(folder: Path, data: Path | None, names: Iterable[str] = CHECKS) -> list[Finding]:
    """The findings of the checks `names` on a submission folder. Nothing is written there.

    data: a directory of shards and tokenizer, to repeat the score by running the submission's script, or None. Raises
    UserError if there is no submission, or no such directory.
    """
    require((folder / SUBMISSION).is_file(), f"{folder}: holds no {SUBMISSION}; give the folder that golf.submit wrote")
    require(data is None or data.is_dir(), f"--data: there is no directory {data}")
    submission = SubmissionFolder(folder, data)
    return [finding for name in names for finding in _safely(name, CHECKS[name], submission)]


def _safely(name: str, check: Check, submission: SubmissionFolder) -> Iterator[Finding]:
    """The check's findings; a failed one if it raises, since a folder may hold anything."""
    try:
        yield from check(submission)
    except UserError as error:
        yield Finding(name, "failed", str(error))
    except Exception as error:
        yield Finding(name, "failed", f"is not of the form that golf writes ({type(error).__name__}: {error})")


def show(folder: Path, findings: Sequence[Finding]) -> bool:
    """Print the findings; returns whether nothing failed."""
    console = Console()
    table = Table("check", "verdict", "seen")
    for finding in findings:
        verdict = Text(finding.verdict, style=STYLES[finding.verdict], no_wrap=True)
        table.add_row(plain_text(finding.name), verdict, plain_text(finding.seen))
    console.print(table)
    counts = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in STYLES}
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    console.print(plain_text(f"{folder}: {summary}"), soft_wrap=True)
    return counts["failed"] == 0
