"""metrics.jsonl: all that was said in a job, one JSON object a line."""

import json
import math
import os
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from golf.disk import room_for
from golf.events import Job, Listener

FILE = "metrics.jsonl"


class JsonLines(Listener):
    """Appends to metrics.jsonl in the run directory; a job that is resumed or run again goes on in the same file.

    A line is {"time", "kind": "metrics", "stage", "step", …values} or {"time", "kind": "event", "name", …fields}; time
    in seconds since 1970. Numbers that JSON lacks are the strings "nan", "inf" and "-inf", which `float` reads.
    """

    _file: FileIO | None = None

    def start(self, job: Job) -> None:
        self._path = job.directory / FILE
        if self._path.exists():  # a full disk may have cut the last line short
            os.truncate(self._path, self._path.read_bytes().rfind(b"\n") + 1)
        self._file = self._path.open("ab", buffering=0)  # nothing waits that could not be written later either

    def event(self, name: str, **fields: Any) -> None:
        self._write(kind="event", name=name, **fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self._write(kind="metrics", stage=stage, step=step, **values)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, **fields: Any) -> None:
        assert self._file is not None, "the job has not started"
        line = (json.dumps(_strict({"time": time.time()} | fields), allow_nan=False) + "\n").encode()
        with room_for(self._path):
            while line:  # as much as there is room for is written, before there is an error
                line = line[self._file.write(line) :]


def read(directory: Path) -> list[dict[str, Any]]:
    """The whole lines of a run directory's metrics.jsonl in the order of writing; none without the file."""
    path = directory / FILE
    if not path.exists():
        return []
    *whole, _ = path.read_bytes().split(b"\n")  # what follows the last line's end is one that a full disk cut short
    return [json.loads(line) for line in whole]


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of kind metrics that hold.

    Where a stage started again, it takes back what it had said of the steps from its first new one on: a rerun takes
    back all of it, a resumed one keeps the points of the steps before. Lines from before any stage started always hold.
    """
    kept: list[tuple[str | None, dict[str, Any]]] = []  # with the stage of the pipeline that said them
    stage, fresh = None, False
    for line in read(directory):
        if line["kind"] == "event" and line["name"] == "stage_started":
            stage, fresh = line["stage"], True
        elif line["kind"] == "metrics":
            if fresh:
                kept = [(who, old) for who, old in kept if who != stage or old["step"] < line["step"]]
                fresh = False
            kept.append((stage, line))
    return [line for _, line in kept]


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
