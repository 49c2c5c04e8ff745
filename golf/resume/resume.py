"""What conf/resume names: whether a job that runs again in its directory goes on where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from golf.cache.stage_cache import Recorder
from golf.errors import require
from golf.resume.checkpointer import NoCheckpointer
from golf.resume.snapshots import Checkpointer, remove_all


class NoResume:
    """resume=off: a stage that was cut off begins again."""

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def checkpointer(
        self, directory: Path, stage: str, key: str, recorder: Recorder, check: Callable[[], None]
    ) -> NoCheckpointer:
        """The stage's, to be entered around its run; see Checkpointer."""
        return NoCheckpointer()

    def forget(self, directory: Path) -> None:
        """The job that ran in the directory has ended well."""


@dataclass(kw_only=True)
class Resume(NoResume):
    """The state of training and of test-time training is saved every `every_seconds`, and before SIGINT, SIGTERM and
    SIGUSR2 have their effect."""

    every_seconds: float

    def check(self) -> None:
        require(self.every_seconds >= 0, f"resume.every_seconds={self.every_seconds} must not be negative")

    def checkpointer(
        self, directory: Path, stage: str, key: str, recorder: Recorder, check: Callable[[], None]
    ) -> Checkpointer:
        return Checkpointer(directory, stage, key, self.every_seconds, recorder, check)

    def forget(self, directory: Path) -> None:
        remove_all(directory)
