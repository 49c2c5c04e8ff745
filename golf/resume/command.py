"""The command that resumes a run or a sweep."""

from pathlib import Path

from golf.utils.shell import quote


def resume_command(directory: Path | str) -> str:
    """The shell command, as in `golf resume multirun/2026-11-23/10-15-00`."""
    return f"golf resume {quote(directory)}"
