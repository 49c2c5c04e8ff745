"""What conf/resume names: whether a job that runs again in its directory goes on where it was."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from golf.cache.stage_cache import Recorder
from golf.errors import require
from golf.resume.loop import kept_by
from golf.resume.snapshots import Snapshots, remove_all


class NoResume:
    """resume=off: a stage that was cut off begins again."""

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def kept(
        self, directory: Path, stage: str, key: str, recorder: Recorder, check: Callable[[], None]
    ) -> AbstractContextManager[Snapshots | None]:
        """Inside, the stage's loop is kept, by what is yielded; check: see Snapshots."""
        return nullcontext()

    def forget(self, directory: Path) -> None:
        """The job that ran in the directory has ended well."""


@dataclass(kw_only=True)
class Resume(NoResume):
    """The state of training and of test-time training is saved every `every_seconds`, and before SIGINT, SIGTERM and
    SIGUSR2 have their effect."""

    every_seconds: float

    def check(self) -> None:
        require(self.every_seconds >= 0, f"resume.every_seconds={self.every_seconds} must not be negative")

    @contextmanager
    def kept(
        self, directory: Path, stage: str, key: str, recorder: Recorder, check: Callable[[], None]
    ) -> Iterator[Snapshots]:
        snapshots = Snapshots(directory, stage, key, self.every_seconds, recorder, check)
        with kept_by(snapshots):
            try:
                yield snapshots
                snapshots.release()
            finally:
                snapshots.signals.put_back()  # an error says more than the signal that waited

    def forget(self, directory: Path) -> None:
        remove_all(directory)
