"""A real run, as the command line starts it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

QUIET = ("tracker=none", "cache=off")


def start(directory: Path, overrides: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Start a run in a directory that is made for it; its output goes to `directory`.log. Later overrides win."""
    keys = {_key(override) for override in QUIET}
    kept = [override for override in overrides if _key(override) not in keys]
    command = [sys.executable, "-m", "golf", *kept, *QUIET, f"hydra.run.dir={directory}"]
    with log(directory).open("w", encoding="utf-8") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)


def log(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.log")


def last_words(directory: Path) -> str:
    """The last line of what a run said."""
    lines = log(directory).read_text(encoding="utf-8").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
