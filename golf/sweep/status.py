"""status.json: how a job of a sweep ended, so that one that was cut off goes on with what is missing."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from golf.errors import Ended, Stopped, UserError
from golf.io.forms import Status
from golf.utils.atomic import write_json
from golf.utils.reading import read_json
from golf.utils.terminal import printable

FILE = "status.json"


def run_once(
    directory: Path,
    overrides: Sequence[str],
    objectives: Sequence[str],
    run: Callable[[], Mapping[str, float]],
    belongs: Callable[[bool], bool],
    *,
    main: bool = True,
) -> float | tuple[float, ...] | None:
    """Run a job of a sweep unless it is done already; its objectives (a tuple if several), or None if it failed.

    run: does the work and returns the value of each objective. belongs: whether the directory holds this very job, told
    whether it is done there; raises UserError, and so does this, if it holds another. main: whether this process keeps
    the status; of a job on several hosts the first host's does.

    Nothing else that happens in a job is raised, since that would end the whole sweep. But an interrupt is, and an
    exit: a scheduler that takes the host away asks for it and runs the job again elsewhere.
    """
    before = read(directory)
    told = before["objectives"] if before is not None and before["state"] == "done" else None
    if belongs(told is not None) and told is not None and list(told) == list(objectives):
        return _told(told)
    started = time.time()

    def write(state: str, values: Mapping[str, float] | None = None, error: str | None = None) -> None:
        fields = {"state": state, "overrides": list(overrides), "started": started, "seconds": time.time() - started}
        if main:
            write_json(directory / FILE, fields | {"objectives": values, "error": error})
        elif error is not None:
            print(printable(error), file=sys.stderr)

    write("running")
    try:
        values = run()
    except Stopped:
        write("stopped")
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except (Ended, UserError) as error:
        write("failed", error=str(error))
    except Exception:
        write("failed", error=traceback.format_exc())
    else:
        write("done", values)
        return _told(values)
    return None


def read(directory: Path) -> dict[str, Any] | None:
    """What the file says, or None if there is none. A job whose file cannot be read has failed, for that reason."""
    try:
        return load(directory)
    except UserError as error:
        unknown = {"overrides": [], "started": 0.0, "seconds": 0.0, "objectives": None}
        return {"state": "failed", **unknown, "error": str(error)}


def load(directory: Path) -> dict[str, Any] | None:
    """The same, but raises UserError if the file cannot be read."""
    path = directory / FILE
    return read_json(path, Status) if path.exists() else None


def found(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The directories of the jobs below one, and what their files say."""
    for path in directory.rglob(FILE):
        if (job := read(path.parent)) is not None:
            yield path.parent, job


def _told(values: Mapping[str, float]) -> float | tuple[float, ...]:
    """The form in which Hydra's sweepers expect them."""
    one_or_more = tuple(values.values())
    return one_or_more[0] if len(one_or_more) == 1 else one_or_more
