"""One of the processes of a job: `python -m golf.launch.worker TASK.json`, started by torch's elastic launcher.

Its exit code is 0, that of a UserError, 130 if interrupted, 128 + the number of a signal that ended the job where it
can go on, or 1; what went wrong lies in the file that torch's launchers name in TORCHELASTIC_ERROR_FILE.
"""

import faulthandler
import os
import sys
import time
import traceback
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from golf import dist, stdio
from golf.atomic import write_json
from golf.errors import Stopped, UserError
from golf.launch.task import Task


def work(task: Task | None) -> dict[str, Any] | None:
    """Join the other ranks, take on rank 0's task, and return its results; None if rank 0 has no task.

    task: only rank 0's counts, so that a job has one configuration and one directory on any number of hosts.
    """
    dist.start()
    task = dist.main_says(task)
    results = None if task is None else run(task)
    dist.stop()
    return results


def run(task: Task) -> dict[str, Any]:
    """Run a task in this process and return its results."""
    from golf import pipeline

    sys.path += [folder for folder in task.sys_path if folder not in sys.path]
    return pipeline.run(task.config, Path(task.directory), task.choices, frozenset(task.overridden))


def main(path: str) -> int:
    faulthandler.enable()
    try:
        task = Task.read(Path(path))
        stdio.protect(task.label)
        dictConfig(dict(task.logging))
        work(task)
    except KeyboardInterrupt:
        return 130
    except Stopped as stopped:
        return stopped.exit_code
    except (Exception, SystemExit) as error:  # whoever leaves in the middle of a job has not done it
        report(error)
        return error.code if isinstance(error, UserError) else 1
    return 0


def report(error: BaseException) -> None:
    """Write `error` where the launcher looks for it, in torch's form, with the second's fraction that torch leaves out:
    the rank that failed first is the one to blame, and the others follow within milliseconds."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path is None:
        traceback.print_exception(error)
        return
    now = time.time()
    extra = {"py_callstack": "".join(traceback.format_exception(error)), "timestamp": str(int(now)), "time": now}
    message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    write_json(Path(path), {"message": {"message": message, "extraInfo": extra}})  # the launcher may end this meanwhile


if __name__ == "__main__":
    dist.leave(main(sys.argv[1]))
