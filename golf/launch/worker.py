"""What one of the processes of a job does.

A worker's exit code is 0, that of a UserError, 130 if interrupted, 128 + the number of a signal that ended the job
where it can go on, or 1; what went wrong lies in the file that torch's launchers name in TORCHELASTIC_ERROR_FILE.
"""

import faulthandler
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from logging.config import dictConfig
from pathlib import Path
from typing import Any, NoReturn

from golf.config.composed import add_to_path
from golf.errors import Stopped, UserError
from golf.launch import torchrun
from golf.launch.elastic import WorkerError
from golf.launch.heartbeat import Heartbeat
from golf.launch.join import Meeting
from golf.launch.task import Task
from golf.runtime import dist
from golf.utils import stdio
from golf.utils.atomic import write_json
from golf.utils.terminal import print_error

_begun = False


def work(task: Task | None) -> dict[str, Any] | None:
    """Join the other ranks, take on rank 0's task, and return its results; None if rank 0 has no task.

    task: only rank 0's counts, so that a job has one configuration and one directory on any number of hosts. A rank
    that is silent for launch.heartbeat_timeout seconds ends the process.

    Raises UserError if not all ranks join within launch.join_timeout seconds.
    """
    global _begun
    _begun = True
    launch = torchrun.launch_config(sys.argv[1:]) if task is None else task.config["launch"]
    meeting, patience = Meeting(), launch["heartbeat_timeout"]
    store = meeting.join(launch["join_timeout"])
    heartbeat = Heartbeat(meeting.connect(patience), meeting.keys, meeting.rank, patience, partial(_give_up, patience))
    heartbeat.start()
    store.set_timeout(dist.TIMEOUT)  # from here on a rank may keep the others waiting
    dist.start(store=store, rank=meeting.rank, world_size=meeting.world_size)
    task = dist.broadcast_object(task)
    results = None if task is None else run(task)
    heartbeat.stop()
    dist.stop()
    return results


def has_begun() -> bool:
    """Whether this process has joined others, or tried to."""
    return _begun


def _give_up(timeout: float, silent: Mapping[int, int]) -> NoReturn:
    """End this process, since ranks (with their process ids) were silent for `timeout` seconds."""
    ranks = f"rank{'s' * (len(silent) > 1)} {', '.join(map(str, silent))}"
    failed = f"{ranks} did not answer for launch.heartbeat_timeout={timeout:g} seconds: stopped, or its host is gone"
    report(WorkerError(failed), time.time() - timeout)
    for pid in silent.values():  # one that is stopped hears no other signal, and the launcher would wait for it
        with suppress(OSError):
            if f"\nPPid:\t{os.getppid()}\n" in Path(f"/proc/{pid}/status").read_text():
                os.kill(pid, signal.SIGKILL)
    os._exit(1)


def run(task: Task) -> dict[str, Any]:
    """Run a task in this process and return its results."""
    from golf import pipeline

    add_to_path(task.sys_path)
    how = {"sys_path": task.sys_path, "logging": task.logging}
    return pipeline.run(task.config, Path(task.directory), task.choices, frozenset(task.overridden), how)


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


def report(error: BaseException, when: float | None = None) -> None:
    """Write `error` where the launcher looks for it, in torch's form, with the second's fraction that torch leaves out:
    the rank that failed first is the one to blame, and the others follow within milliseconds.

    when: in seconds since 1970; None: now. An error that was not raised has no traceback: it is of another rank.
    """
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    told = isinstance(error, UserError | WorkerError)
    if path is None:
        print_error(error) if told else traceback.print_exception(error)
        return
    when = time.time() if when is None else when
    extra = {"py_callstack": "".join(traceback.format_exception(error)), "timestamp": str(int(when)), "time": when}
    message = str(error) if told else f"{type(error).__name__}: {error}"
    write_json(Path(path), {"message": {"message": message, "extraInfo": extra}})  # the launcher may end this meanwhile
