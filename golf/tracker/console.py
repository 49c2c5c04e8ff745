"""Console output of a job: progress bars on a terminal, occasional lines elsewhere."""

import atexit
import math
import time
from collections.abc import Mapping
from typing import Any

import rich.console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from golf.events import Job, Listener
from golf.tracker.table import summary
from golf.utils import stdio
from golf.utils.shell import quote
from golf.utils.terminal import printable

SECONDS_BETWEEN_LINES = 10.0  # of one stage


class Console(Listener):
    """Events as lines, metrics as occasional lines, progress as one bar for each stage, results as a table.

    Without a terminal, progress becomes occasional lines too, and only plain text is written.
    """

    def __init__(self, console: rich.console.Console | None = None):
        self._console = console or rich.console.Console()
        self._progress = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=16),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[notes]}"),
            console=self._console,
        )
        self._bars: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}

    def start(self, job: Job) -> None:
        self._job = job
        self.line("job", _words(job.choices))
        self.line("files", quote(job.directory))

    def event(self, name: str, **fields: Any) -> None:
        self.line(fields.pop("stage", ""), name.removeprefix("stage_").replace("_", " "), fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self._occasionally(stage, f"step {step}", values)

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        if not self._console.is_interactive:
            self._occasionally(stage, f"{done:.0%}" if total == 1 else f"{done}/{total}", notes)
            return
        if not self._bars:
            atexit.register(self._progress.stop)  # restores the terminal's cursor, however the job ends
            self._progress.start()
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, total=total, notes="")
        elif done < self._progress.tasks[self._bars[stage]].completed:  # a new round, such as a later validation
            self._progress.reset(self._bars[stage])
        self._progress.update(self._bars[stage], completed=done, total=total, notes=_words(notes))

    def finish(self, results: Mapping[str, Any] | None) -> None:
        if self._bars:
            self._progress.stop()
        if results is None:
            self.line("job", f"failed; its files: {quote(self._job.directory)}")
        else:
            self._print(summary(results, self._job.directory))

    def _occasionally(self, stage: str, what: str, values: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last_line.get(stage, -math.inf) >= SECONDS_BETWEEN_LINES:
            self._last_line[stage] = now
            self.line(stage, what, values)

    def line(self, source: str, what: str, values: Mapping[str, Any] | None = None) -> None:
        """Print one line: the source, a message, and named numbers."""
        self._print(printable(f"{source:<16} {what}  {_words(values or {})}".rstrip()))

    def _print(self, what: rich.console.RenderableType) -> None:
        """Raises OSError if it cannot be written."""
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)
        if error := stdio.failure(self._console.file):
            raise error


def _words(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {_word(value)}" for name, value in values.items())


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"
    return f"{value:,}" if type(value) is int else str(value)
