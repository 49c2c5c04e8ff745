"""The command that goes on with what was cut off."""

from pathlib import Path

from golf.shell import quote


def resume_command(directory: Path | str) -> str:
    """As it is typed in a shell; `directory` is that of a run or of a sweep."""
    return f"golf resume {quote(directory)}"
