"""The sweep that a job belongs to."""

from dataclasses import dataclass
from pathlib import Path

from golf.errors import UserError


@dataclass(kw_only=True)
class Sweep:
    """`resume`: the directory of a sweep that was cut off. The same command with it runs only what is missing."""

    resume: str | None


def directory_to_resume(resume: str) -> str:
    """`resume`, if it is a sweep's directory. Raises UserError if not."""
    if not (Path(resume) / "multirun.yaml").is_file():
        raise UserError(f"sweep.resume={resume}: is no directory of a sweep (it has no multirun.yaml)")
    return resume
