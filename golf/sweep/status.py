"""status.json: how a job of a sweep ended, so that one that was cut off goes on with what is missing."""

import json
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from golf.atomic import write_json
from golf.errors import Ended

FILE = "status.json"


def run_once(directory: Path, overrides: Sequence[str], run: Callable[[], float | None]) -> float | None:
    """Run a job of a sweep unless it is done already; its val_bpb, or None if it failed or scored nothing.

    Nothing that happens in a job is raised, since that would end the whole sweep; but an interrupt does.
    """
    before = read(directory)
    if before is not None and before["state"] == "done":
        return before["val_bpb"]
    started = time.time()

    def write(
        state: Literal["running", "done", "failed"], val_bpb: float | None = None, error: str | None = None
    ) -> None:
        fields = {"state": state, "overrides": list(overrides), "started": started, "seconds": time.time() - started}
        write_json(directory / FILE, fields | {"val_bpb": val_bpb, "error": error})

    write("running")
    try:
        val_bpb = run()
    except KeyboardInterrupt:
        raise
    except Ended as error:
        write("failed", error=str(error))
    except BaseException:  # a SystemExit, too, would stop the sweep
        write("failed", error=traceback.format_exc())
    else:
        write("done", val_bpb)
        return val_bpb
    return None


def read(directory: Path) -> dict[str, Any] | None:
    """What the file says, or None if there is none."""
    path = directory / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
