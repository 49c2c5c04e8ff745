"""A real run, as the command line starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from golf.bench.row import Skipped
from golf.io.run_directory import read_results

QUIET = ("tracker=none", "cache=off")


@contextmanager
def running(directory: Path, overrides: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is killed when the block ends. It makes its `directory`; its output goes to `directory`.log."""
    keys = {_key(override) for override in QUIET}
    kept = [override for override in overrides if _key(override) not in keys]
    command = [sys.executable, "-m", "golf", *kept, *QUIET, f"hydra.run.dir={directory}"]
    with log(directory).open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def results(directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The results.json of a whole run. Raises Skipped, with the last line of its output, if it fails."""
    with running(directory, overrides) as process:
        code = process.wait()
    found = read_results(directory)
    if code or found is None:
        raise Skipped(f"the job failed: {last_words(directory)}")
    return found


def log(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.log")


def last_words(directory: Path) -> str:
    """The last line of a run's output."""
    lines = log(directory).read_text(encoding="utf-8").strip().splitlines()
    return lines[-1] if lines else "no output"


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
