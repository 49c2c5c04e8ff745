"""A directory is one living process's at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from golf.errors import UserError
from golf.events import Listener
from golf.utils.lock import locked

FILE = ".lock"
PATIENCE = 60.0  # seconds: a job that a scheduler took away may still be ending where it begins again


@contextmanager
def run_lock(directory: Path, events: Listener) -> Iterator[None]:
    """`directory` for this process alone. Waits, and says so, while another has it that lives.

    Raises UserError if it goes on having it, or if the directory cannot be written. It leaves no file behind, but where
    the process is killed; that file keeps nobody out.
    """

    def waiting() -> None:
        events.event("waiting_for_another_job", directory=str(directory), seconds=PATIENCE)

    with ExitStack() as stack:
        try:
            stack.enter_context(locked(directory / FILE, PATIENCE, waiting))
        except BlockingIOError as error:
            raise UserError(
                f"{directory}: another job is running there; wait for its end, or give another directory"
            ) from error
        except OSError as error:
            raise UserError(
                f"{error.filename}: cannot be written ({error.strerror}); give another directory"
            ) from error
        try:
            yield
        finally:
            _remove(directory / FILE)


def remove_if_empty(directory: Path) -> None:
    """Remove a directory in which there is nothing, or only what a process left that was killed while it had it."""
    with suppress(OSError):
        if [path.name for path in directory.iterdir()] == [FILE]:
            with locked(directory / FILE, seconds=0):
                _remove(directory / FILE)
        directory.rmdir()


def _remove(lock: Path) -> None:
    """What has content is another program's."""
    with suppress(FileNotFoundError):
        if lock.stat().st_size == 0:
            lock.unlink()
