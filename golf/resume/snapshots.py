"""Snapshots of one stage's loop, in the run directory: each is a directory that is whole or absent."""

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch

from golf.cache.entries import Entry
from golf.errors import UserError, excerpt, one_line
from golf.io import event_file
from golf.io.event_file import EVENTS, EventRecorder, read_events
from golf.io.forms import Snapshot
from golf.io.tensor_file import load_tensors
from golf.resume import random_states
from golf.resume.checkpointer import LoopState, NoCheckpointer
from golf.resume.signals import Signals
from golf.runtime import dist
from golf.utils.atomic import UNFINISHED
from golf.utils.reading import read_json

FOLDER = "resume"  # in the run directory; below it, a folder for each stage
NAMES = "[0-9]" * 8  # of a snapshot: the finished rounds
ABOUT, SHARED, OWN = "about.json", "shared.pt", "rank{}.pt"
DUE = 1  # the request of a rank whose interval has passed, without a signal


class Checkpointer(NoCheckpointer):
    """The snapshots of one stage: rank 0 writes one every `every_seconds` and at a signal.

    key: the stage's in the cache. A snapshot under another key is of other code, configuration, data or ranks; it stays
    until the first one under this key replaces it. A new snapshot is complete before the last one is removed. check:
    raises UserError if the data have changed since the key was computed.
    """

    def __init__(
        self,
        directory: Path,
        stage: str,
        key: str,
        every_seconds: float,
        recorder: EventRecorder,
        check: Callable[[], None],
    ):
        self.root = directory / FOLDER / stage
        self.stage = stage
        self.key = key
        self.every_seconds = every_seconds
        self.recorder = recorder
        self.check = check
        self.signals = Signals()
        self._began = self._saved = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.release()
        self.signals.restore()  # an error is reported before a signal that waits

    def request(self) -> int:
        due = dist.is_main() and time.perf_counter() - self._saved >= self.every_seconds
        return self.signals.noted or DUE * due

    def restore(self, state: LoopState) -> int:
        self.signals.hold()
        path, about = dist.broadcast_object(self._newest() if dist.is_main() else None)
        self._saved = time.perf_counter()
        if path is None:
            return 0
        if dist.is_main():
            _remove(self.root, path)  # older ones, where the process ended before it removed them
        shared, own = (_read(path / name) for name in (SHARED, OWN.format(dist.rank())))
        recorded = read_events(path)
        try:
            state.load_state_dict(shared, own["loop"])
            random_states.set_states(own["random"])
        except torch.OutOfMemoryError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: is of another loop ({excerpt(str(error))}); remove it to start without it"
            ) from error
        self.recorder.catch_up(recorded)
        self.times = about["times"] + 1
        self.loop_seconds, self.stage_seconds = about["loop_seconds"], about["stage_seconds"]
        self.recorder.listener.event("resumed", stage=self.stage, done=about["done"], times=self.times)
        return int(about["done"])

    def save(self, state: LoopState, done: int, request: int, seconds: Callable[[], float] = float) -> None:
        """A snapshot that cannot be written is logged, and does not end the job."""
        self.check()
        own = dist.all_gather_object(_bytes({"loop": state.rank_state_dict(), "random": random_states.states()}))
        started, error = time.perf_counter(), None

        def write(directory: Path) -> None:
            _write(directory / SHARED, lambda file: torch.save(state.state_dict(), file))
            for rank, part in enumerate(own):
                _write(directory / OWN.format(rank), part)
            _write(directory / EVENTS, event_file.to_json(self.recorder.events).encode())
            about = {
                "key": self.key,
                "done": done,
                "times": self.times,
                "stage_seconds": self.stage_seconds + time.perf_counter() - self._began,
                "loop_seconds": seconds(),  # last: saving is a part of the loop's time
            }
            _write(directory / ABOUT, json.dumps(about).encode())

        if dist.is_main():
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                entry = Entry(self.root / f"{done:08d}")
                entry.fill(write)
                _remove(self.root, entry.path)
            except Exception as problem:
                error = one_line(problem)
        error = dist.broadcast_object(error)  # no rank continues before the snapshot is whole
        self._saved = time.perf_counter()
        if error is None:
            self.recorder.listener.event("saved", stage=self.stage, done=done, seconds=self._saved - started)
        else:
            self.recorder.listener.event("not_saved", stage=self.stage, done=done, error=error)
        if request > DUE:
            self.signals.deliver(request)

    def release(self) -> None:
        self.signals.release()

    def _newest(self) -> tuple[Path | None, dict[str, Any]]:
        """The newest whole snapshot under this key and the content of its about.json; (None, {}) without one."""
        found = sorted(self.root.glob(NAMES), reverse=True) if self.root.is_dir() else []
        for path in found:
            about, why = _about(path)
            if about is not None and about["key"] == self.key:
                return path, about
            why = why or "other code, configuration, data or processes made it"
            self.recorder.listener.event("snapshot_ignored", stage=self.stage, snapshot=str(path), because=why)
        return None, {}


def remove_all(directory: Path) -> None:
    """Remove the snapshots of a run directory, and no other files beside them."""
    for root in (directory / FOLDER).glob("*/"):
        _remove(root)
    with suppress(OSError):
        (directory / FOLDER).rmdir()


def _remove(root: Path, but: Path | None = None) -> None:
    """Remove a stage's snapshots except `but`, and what a killed process left of one."""
    for path in root.glob(f".*{UNFINISHED}"):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob(NAMES):
        if path != but and Entry(path).is_own():
            with suppress(OSError):
                Entry(path).remove()
    with suppress(OSError):
        root.rmdir()


def _about(path: Path) -> tuple[dict[str, Any] | None, str]:
    """The content of a snapshot's about.json, or None and the reason why it cannot be used."""
    if not Entry(path).is_whole():
        return None, "it is damaged"
    try:
        return read_json(path / ABOUT, Snapshot), ""
    except UserError as error:
        return None, str(error)


def _bytes(state: dict[str, Any]) -> bytes:
    """As torch.load reads it."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _read(path: Path) -> Any:
    """Executes nothing that is in the file. Raises UserError if it cannot be read as a state."""
    try:
        return load_tensors(path, "cpu", "a snapshot")
    except UserError as error:
        raise UserError(f"{error}; remove {path.parent} to start anew") from error


def _write(path: Path, content: bytes | Callable[[BinaryIO], Any]) -> None:
    """Write a file and wait until it is on the disk: its directory is renamed afterwards."""
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())
