"""job.log: the console's output as a file, with every point of the curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import rich.console

from golf.events import Job, Listener
from golf.tracker.console import Console
from golf.utils.disk import room_for
from golf.utils.writing import regular, writable

FILE = "job.log"


class Log(Listener):
    """Appends to job.log in the run directory. Progress is omitted, since the curves show it.

    Raises UserError if the disk is full.
    """

    _file: TextIO | None = None
    _path: Path
    _lines: Console

    def start(self, job: Job) -> None:
        self._path = job.directory / FILE
        with writable(self._path):
            self._file = open(self._path, "a", 1, "utf-8", "backslashreplace", opener=regular)  # noqa: SIM115
        self._lines = Console(rich.console.Console(file=self._file, width=120))
        with room_for(self._path):
            self._lines.start(job)

    def event(self, name: str, **fields: Any) -> None:
        with room_for(self._path):
            self._lines.event(name, **fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        with room_for(self._path):
            self._lines.line(stage, f"step {step}", values)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        if self._file is not None:
            with room_for(self._path), self._file:
                self._lines.finish(results)
