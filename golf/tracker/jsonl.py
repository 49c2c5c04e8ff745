"""metrics.jsonl: all events and metrics of a job, one JSON object per line."""

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, Literal, TypedDict

from golf.errors import UserError, require
from golf.events import Job, Listener
from golf.utils.disk import room_for
from golf.utils.reading import MAX_BYTES, open_regular, parse_json, shaped
from golf.utils.writing import regular, writable

log = logging.getLogger(__name__)

FILE = "metrics.jsonl"


class Metrics(TypedDict):
    """A line of kind metrics; its other keys are the curve's values."""

    kind: Literal["metrics"]
    stage: str
    step: int


class Event(TypedDict):
    """A line of kind event."""

    kind: Literal["event"]
    name: str


VALUE = float | Literal["nan", "inf", "-inf"]


class JsonLines(Listener):
    """Appends to metrics.jsonl in the run directory; a resumed or repeated job continues the same file.

    A line is {"time", "kind": "metrics", "stage", "step", …values} or {"time", "kind": "event", "name", …fields}; time
    in seconds since 1970. Numbers that JSON lacks are the strings "nan", "inf" and "-inf", which `float` reads.
    """

    _file: FileIO | None = None

    def start(self, job: Job) -> None:
        self._path = job.directory / FILE
        with writable(self._path):
            # Nothing waits that could not be written later either.
            self._file = FileIO(self._path, "ab+", opener=regular)
        self._file.seek(0)
        self._file.truncate(self._file.read().rfind(b"\n") + 1)  # a full disk may have cut the last line short

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
    """The lines of a run directory's metrics.jsonl in the order of writing; none without the file.

    Malformed lines, as a crash or another program may leave them, are skipped and counted in a warning, and so is an
    incomplete last line, as a full disk leaves it. Raises UserError if the path is not a regular file.
    """
    path = directory / FILE
    if not path.exists():
        return []
    lines, skipped = [], 0
    with open_regular(path) as file:
        while text := file.readline(MAX_BYTES):
            try:
                lines.append(_line(text))
            except UserError:
                skipped += text.endswith(b"\n")
    if skipped:
        _warn(path, skipped)
    return lines


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The valid lines of kind metrics in a run directory's file (see `metrics_that_hold`)."""
    return metrics_that_hold(read(directory))


def metrics_that_hold(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The valid lines of kind metrics.

    A stage that started again invalidates its earlier points from its first new step on: a rerun all of them, a resumed
    stage those of the repeated steps. Lines from before any stage started stay valid.
    """
    kept: list[tuple[str | None, dict[str, Any]]] = []  # with the stage of the pipeline that emitted them
    stage, fresh = None, False
    for line in lines:
        if line["kind"] == "event" and line["name"] == "stage_started":
            stage, fresh = line.get("stage"), True
        elif line["kind"] == "metrics":
            if fresh:
                kept = [(who, old) for who, old in kept if who != stage or old["step"] < line["step"]]
                fresh = False
            kept.append((stage, line))
    return [line for _, line in kept]


def _line(text: bytes) -> dict[str, Any]:
    """Raises UserError if the path is not a regular file."""
    require(text.endswith(b"\n"), "it is cut short")
    line: dict[str, Any] = parse_json(text, FILE, Metrics | Event, allow_nan=True)
    if line["kind"] == "metrics":
        shaped({key: value for key, value in line.items() if key not in ("kind", "stage")}, FILE, dict[str, VALUE])
    return line


@cache  # once in a process
def _warn(path: Path, skipped: int) -> None:
    log.warning("%s: %d lines cannot be read and are skipped", path, skipped)


def _strict(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value
