"""The command that goes on with a run or a sweep."""

import shlex
from pathlib import Path


def resume_command(directory: Path | str) -> str:
    """What to type into a shell, as in `golf resume multirun/2026-11-23/10-15-00`."""
    return f"golf resume {shlex.quote(str(directory))}"
