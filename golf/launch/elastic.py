"""A job on this process, or on several that torch's elastic launcher starts (one for each GPU)."""

import logging
import math
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from golf.errors import Diverged, Stopped, UserError, require
from golf.launch import torchrun
from golf.launch.task import Task
from golf.resume.signals import DEFAULT, HELD, SECONDS_TO_SAVE, wait_once
from golf.sweep.gpus import reserve_gpus, visible

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure


# What torch's launcher ends the workers on.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
# What else ends them, whoever makes use of it: submitit has SLURM send it some time before a host is taken away, and
# queues the job again. The workers have saved by then.
WARNING = signal.SIGUSR2


class WorkerError(Exception):
    """A worker of the job died. The message says which, why, and where in its code; it pickles."""


@dataclass(kw_only=True)
class Elastic:
    """`nproc_per_node` processes on each of `nnodes` hosts.

    On several hosts the same command is given on each, with the same `rdzv_id` and an `rdzv_endpoint` (host:port) that
    all can reach; `node_rank` is for `rdzv_backend` static alone. The run directory and the data must be on a file
    system that all see. See the PyTorch documentation of torchrun.
    """

    nproc_per_node: int
    nnodes: int
    node_rank: int
    rdzv_backend: Literal["c10d", "static"]
    rdzv_endpoint: str | None
    rdzv_id: str | None
    rdzv_timeout: int
    join_timeout: float
    heartbeat_timeout: float

    def run(self, task: Task, fresh: bool) -> dict[str, Any] | None:
        """Run the job; its results (None on a host whose ranks do not hold rank 0).

        fresh: not in this process, and on GPUs that no other such job of this host has, for which it waits.

        Raises UserError for a mistake of the user, found here or by a worker, WorkerError if a worker dies, and Stopped
        where a signal ends the job.
        """
        require(self.nproc_per_node > 0, f"launch.nproc_per_node={self.nproc_per_node} must be at least 1")
        require(self.nnodes > 0, f"launch.nnodes={self.nnodes} must be at least 1")
        several = self.nproc_per_node * self.nnodes > 1
        from golf.launch import worker  # imports torch, which --help must not

        self._check_hosts()
        if torchrun.active():
            require(not several, "under torchrun its own options count; leave launch.* out, or start golf without it")
            return worker.work(task)
        if not several and not fresh:
            return worker.run(task)
        gpus = [] if task.config["compute"]["device"] == "cpu" else visible()
        if not gpus:
            return self._launch(task)
        enough = self.nproc_per_node <= len(gpus)
        require(enough, f"launch.nproc_per_node={self.nproc_per_node}, but this host has {len(gpus)} GPU(s)")
        if not fresh:
            return self._launch(task)
        with reserve_gpus(self.nproc_per_node, gpus) as ours, _environment("CUDA_VISIBLE_DEVICES", ",".join(ours)):
            return self._launch(task)

    def _check_hosts(self) -> None:
        within = 0 <= self.node_rank < self.nnodes
        require(within, f"launch.node_rank={self.node_rank} must lie between 0 and launch.nnodes={self.nnodes} - 1")
        require(self.rdzv_timeout > 0, f"launch.rdzv_timeout={self.rdzv_timeout} must be at least 1")
        for name in ("join_timeout", "heartbeat_timeout"):
            require(getattr(self, name) > 0, f"launch.{name}={getattr(self, name)} must be above 0")
        endpoint = self.rdzv_endpoint
        formed = endpoint is None or re.fullmatch(r"[^:\s]+:\d+", endpoint) is not None
        require(formed, f"launch.rdzv_endpoint={endpoint} must have the form HOST:PORT")
        if self.nnodes > 1 or self.rdzv_backend == "static":
            found = endpoint is not None and self.rdzv_id is not None
            several = f"launch.nnodes={self.nnodes} launch.rdzv_backend={self.rdzv_backend}"
            require(found, f"{several}: needs launch.rdzv_endpoint=HOST:PORT and launch.rdzv_id=NAME")

    def _launch(self, task: Task) -> dict[str, Any] | None:
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        from golf.io.run_directory import read_results

        for name in logging.root.manager.loggerDict:  # it has handlers of its own, and says what is raised here anyway
            if name.startswith("torch.distributed.elastic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        with tempfile.TemporaryDirectory(prefix="golf-") as folder, _signals_as_before():
            path = Path(folder) / "task.json"
            task.write(path)
            # The first rank of a host has the terminal. What the others print would only repeat it.
            logs = DefaultLogsSpecs(folder, redirects=dict.fromkeys(range(1, self.nproc_per_node), Std.ALL))
            config = LaunchConfig(
                min_nodes=self.nnodes,
                max_nodes=self.nnodes,
                nproc_per_node=self.nproc_per_node,
                run_id=self.rdzv_id or f"golf-{os.getpid()}",
                rdzv_backend=self.rdzv_backend,
                rdzv_endpoint=self.rdzv_endpoint or "localhost:0",
                rdzv_configs={"timeout": self.rdzv_timeout, "rank": self.node_rank},
                max_restarts=0,
                logs_specs=logs,
                **_signals_to_handle(LaunchConfig),
            )
            try:
                _take_interrupts()
                elastic_launch(config, sys.executable)("-m", "golf.launch", str(path), str(os.getpid()))
            except ChildFailedError as error:
                raise _blamed(error, Path(folder)) from None
            except SignalException as error:
                stopped_by = error.sigval
            else:
                return read_results(Path(task.directory))
        # The workers have ended, and the signal has the effect that it would have had without them.
        handler = signal.getsignal(stopped_by)
        if callable(handler) and handler not in DEFAULT:
            handler(stopped_by, None)
        raise Stopped(stopped_by)


def _take_interrupts() -> None:
    """In the place of torch's launcher, for which a second interrupt is no reason to hurry."""
    from torch.distributed.elastic.multiprocessing import SignalException

    def interrupted(number: int, frame: Any) -> None:
        wait_once()
        raise SignalException("interrupted", signal.SIGINT)

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) in DEFAULT:
        signal.signal(signal.SIGINT, interrupted)


def _blamed(error: "ChildFailedError", logs: Path) -> UserError | WorkerError | Stopped:
    """The error of the worker that failed first; those that merely lost their connection to it come later."""
    rank, failure = min(error.failures.items(), key=lambda item: _failed_at(item[1]))
    if failure.exitcode - 128 in HELD:  # not by this process; a scheduler may signal all that there are
        return Stopped(failure.exitcode - 128)
    if isinstance(failure.message, str):  # it left no message: killed, or never begun
        last_words = "".join(path.read_text()[-4000:] for path in logs.glob(f"*/*/{failure.local_rank}/stderr.log"))
        return WorkerError(f"rank {rank} died: {failure.message}\n\n{last_words}".rstrip())
    message, extra = failure.message["message"], failure.message["extraInfo"]
    for told in (UserError, Diverged):
        if failure.exitcode == told.code:
            return told(message)
    stack = extra["py_callstack"]
    return WorkerError(f"rank {rank} failed: {message}\n\n{stack}" if stack.startswith("Traceback") else message)


def _failed_at(failure: "ProcessFailure") -> float:
    """Seconds since 1970. Of a process that left no message it is known when its death was noticed, in whole seconds;
    one that ended by SIGTERM was ended by the launcher, because of another's failure."""
    if not isinstance(failure.message, str):
        return failure.message["extraInfo"]["time"]
    return math.inf if failure.exitcode == -signal.SIGTERM else failure.timestamp - 1


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _signals_to_handle(config: type) -> dict[str, Any]:
    """A signal of which somebody makes use stays theirs: nohup's, or those of a scheduler's client, which knows what
    becomes of a job that is told to end; but its WARNING goes to the workers first. SIGINT is taken above. An older
    PyTorch's launcher takes all of ENDING and no other."""
    ours = [one.name for one in ENDING if one != signal.SIGINT and signal.getsignal(one) in DEFAULT]
    if signal.getsignal(WARNING) is not signal.SIG_IGN:
        ours.append(WARNING.name)
    asked = {"signals_to_handle": ",".join(ours), "shutdown_timeout": SECONDS_TO_SAVE}
    known = {field.name for field in fields(config)}
    return {name: value for name, value in asked.items() if name in known}


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """torch's launcher leaves its signal handlers behind; the next job of a sweep wants Python's own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.getsignal(name) for name in (*ENDING, WARNING)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
