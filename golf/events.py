"""Events, metrics and progress of a job, and their listeners. No stage knows its listeners."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golf.errors import UserError, one_line


@dataclass(frozen=True)
class Job:
    """The job as its listeners see it."""

    directory: Path
    config: Mapping[str, Any]
    choices: Mapping[str, str]


class Listener:
    """Receives the events of one job. The methods here do nothing; subclasses override the ones they need."""

    def check(self) -> None:
        """Raise UserError if this listener cannot work as configured; nothing has been written yet."""

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
    """Forwards everything to any number of listeners.

    `required` are called first, and their errors end the job. An `optional` one that raises is dropped, and the others
    receive the event `listener_failed`.
    """

    def __init__(self, required: Iterable[Listener] = (), optional: Iterable[Listener] = ()):
        self.required, self.optional = list(required), list(optional)

    def start(self, job: Job) -> None:
        try:
            self._forward(lambda listener: listener.start(job))
        except UserError:  # a required one cannot start, and the optional ones have not yet
            self.optional.clear()
            raise

    def event(self, name: str, **fields: Any) -> None:
        self._forward(lambda listener: listener.event(name, **fields))

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self._forward(lambda listener: listener.metrics(stage, step, **values))

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        self._forward(lambda listener: listener.progress(stage, done, total, **notes))

    def finish(self, results: Mapping[str, Any] | None) -> None:
        """Optional listeners finish first, so that the required ones can still log their failures."""
        with ExitStack() as all_of_them:  # runs every callback, even if one raises
            for listener in self.required:
                all_of_them.callback(listener.finish, results)
            self._try_optional(lambda listener: listener.finish(results))

    def _forward(self, call: Callable[[Listener], None]) -> None:
        for listener in self.required:
            call(listener)
        self._try_optional(call)

    def _try_optional(self, call: Callable[[Listener], None]) -> None:
        for listener in self.optional.copy():
            try:
                call(listener)
            except Exception as error:
                self.optional.remove(listener)
                self.event("listener_failed", listener=type(listener).__name__, error=one_line(error))
