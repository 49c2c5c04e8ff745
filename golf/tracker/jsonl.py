"""metrics.jsonl: all that was said in a job, one JSON object a line."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from golf.events import Job, Listener

FILE = "metrics.jsonl"


class JsonLines(Listener):
    """Appends to metrics.jsonl in the run directory; a resumed job goes on in the same file.

    A line is {"time", "kind": "metrics", "stage", "step", …values} or {"time", "kind": "event", "name", …fields}; time
    in seconds since 1970. Numbers that JSON lacks are the strings "nan", "inf" and "-inf", which `float` reads.
    """

    _file: TextIO | None = None

    def start(self, job: Job) -> None:
        path = job.directory / FILE
        if path.exists():  # a full disk may have cut the last line short
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
        self._file = path.open("a", encoding="utf-8")

    def event(self, name: str, **fields: Any) -> None:
        self._write(kind="event", name=name, **fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self._write(kind="metrics", stage=stage, step=step, **values)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, **fields: Any) -> None:
        assert self._file is not None, "the job has not started"
        self._file.write(json.dumps(_strict({"time": time.time()} | fields), allow_nan=False) + "\n")
        self._file.flush()


def read(directory: Path) -> list[dict[str, Any]]:
    """The lines of a run directory's metrics.jsonl in the order of writing; none without the file."""
    path = directory / FILE
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
