"""What stages say while they work, and who may listen. No stage knows its listeners."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golf.errors import UserError, one_line


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

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        """`done` of `total` units of work, or a share of 1; called often, cheap to ignore."""

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """The job ended: with the content of results.json, or with None if it failed."""


class Events(Listener):
    """Passes everything on to any number of listeners.

    `required` are heard first, and their errors end the job. One of the `optional` that raises hears nothing more, and
    the event `listener_failed` tells the others so.
    """

    def __init__(self, required: Iterable[Listener] = (), optional: Iterable[Listener] = ()):
        self.required, self.optional = list(required), list(optional)

    def start(self, job: Job) -> None:
        try:
            self._pass_on(lambda listener: listener.start(job))
        except UserError:  # a required one cannot start: the optional ones have not
            self.optional.clear()
            raise

    def event(self, name: str, **fields: Any) -> None:
        self._pass_on(lambda listener: listener.event(name, **fields))

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self._pass_on(lambda listener: listener.metrics(stage, step, **values))

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        self._pass_on(lambda listener: listener.progress(stage, done, total, **notes))

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """The optional ones first: what becomes of them, the others still record."""
        with ExitStack() as all_of_them:  # whatever becomes of one
            for listener in self.required:
                all_of_them.callback(listener.finish, results)
            self._try_optional(lambda listener: listener.finish(results))

    def _pass_on(self, tell: Callable[[Listener], None]) -> None:
        for listener in self.required:
            tell(listener)
        self._try_optional(tell)

    def _try_optional(self, tell: Callable[[Listener], None]) -> None:
        for listener in self.optional.copy():
            try:
                tell(listener)
            except Exception as error:
                self.optional.remove(listener)
                self.event("listener_failed", listener=type(listener).__name__, error=one_line(error))
