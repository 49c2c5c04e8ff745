"""What stages say while they work, and who may listen. No stage knows its listeners."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What a listener may know of the job it listens to."""

    directory: Path
    config: Mapping[str, Any]
    choices: Mapping[str, str]


class Listener:
    """Hears one job. Every method does nothing here; a listener overrides what it cares about."""

    def check(self) -> None:
        """Raise UserError if this listener cannot listen as it is told to; nothing has been written yet."""

    def start(self, job: Job) -> None:
        """The job begins; nothing has been computed yet."""

    def event(self, name: str, **fields: Any) -> None:
        """Something happened once: `stage_started`, `recurrence_on`, … Fields are JSON values."""

    def metrics(self, stage: str, step: int, **values: float) -> None:
        """Values of a curve at `step` of `stage` (`train`: optimizer steps, `ttt`: chunks)."""

    def progress(self, stage: str, done: int, total: int, **notes: float) -> None:
        """`done` of `total` units of work; called often, cheap to ignore."""

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """The job ended: with the content of results.json, or with None if it failed."""


class Early(Listener):
    """For what happens before the job starts: `heard` hears it at once, and the others when `tell` is called."""

    def __init__(self, heard: Listener):
        self.heard = heard
        self.kept: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, **fields: Any) -> None:
        self.heard.event(name, **fields)
        self.kept.append((name, fields))

    def progress(self, stage: str, done: int, total: int, **notes: float) -> None:
        self.heard.progress(stage, done, total, **notes)

    def tell(self, events: "Events") -> None:
        """Tell all listeners but the one that has heard it."""
        for listener in events.listeners:
            if listener is not self.heard:
                for name, fields in self.kept:
                    listener.event(name, **fields)


class Events(Listener):
    """Passes everything on to any number of listeners, in order."""

    def __init__(self, listeners: Iterable[Listener] = ()):
        self.listeners = tuple(listeners)

    def start(self, job: Job) -> None:
        for listener in self.listeners:
            listener.start(job)

    def event(self, name: str, **fields: Any) -> None:
        for listener in self.listeners:
            listener.event(name, **fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        for listener in self.listeners:
            listener.metrics(stage, step, **values)

    def progress(self, stage: str, done: int, total: int, **notes: float) -> None:
        for listener in self.listeners:
            listener.progress(stage, done, total, **notes)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        with ExitStack() as all_of_them:  # whatever becomes of one
            for listener in reversed(self.listeners):
                all_of_them.callback(listener.finish, results)
