"""What conf/resume names: whether a job that runs again in its directory resumes where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from golf.errors import require
from golf.io.event_file import EventRecorder
from golf.resume.checkpointer import NoCheckpointer
from golf.resume.snapshots import Checkpointer, remove_all


class NoResume:
    """resume=off: a stage that was interrupted starts from its beginning."""

    def check(self) -> None:
        """There is nothing to check."""

    def checkpointer(
        self, directory: Path, stage: str, key: str, recorder: EventRecorder, check: Callable[[], None]
    ) -> NoCheckpointer:
        """The checkpointer of a stage, a context manager around its run; see Checkpointer for the arguments."""
        return NoCheckpointer()

    def forget(self, directory: Path) -> None:
        """The job in `directory` has ended: remove what was kept to resume it."""


@dataclass(kw_only=True)
class Resume(NoResume):
    """The state of training and of test-time training is saved every `every_seconds`, and before SIGINT, SIGTERM and
    SIGUSR2 take effect."""

    every_seconds: float

    def check(self) -> None:
        require(self.every_seconds >= 0, f"resume.every_seconds={self.every_seconds} must not be negative")

    def checkpointer(
        self, directory: Path, stage: str, key: str, recorder: EventRecorder, check: Callable[[], None]
    ) -> Checkpointer:
        return Checkpointer(directory, stage, key, self.every_seconds, recorder, check)

    def forget(self, directory: Path) -> None:
        remove_all(directory)
