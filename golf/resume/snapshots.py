"""Snapshots of one stage's loop, in the run directory: each a directory that is there whole or not at all."""

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
from golf.cache.stage_cache import SAID, Recorder, read_said
from golf.errors import UserError, excerpt, one_line
from golf.io.forms import Snapshot
from golf.io.tensor_file import load_tensors
from golf.resume import random_states
from golf.resume.checkpointer import LoopState, NoCheckpointer
from golf.resume.signals import Signals
from golf.runtime import dist
from golf.utils.atomic import UNFINISHED
from golf.utils.reading import read_json

FOLDER = "resume"  # in the run directory; below it, a folder for each stage
NAMES = "[0-9]" * 8  # of a snapshot: the rounds that are done
ABOUT, SHARED, OWN = "about.json", "shared.pt", "rank{}.pt"
DUE = 1  # requested where it is time, without a signal


class Checkpointer(NoCheckpointer):
    """The snapshots of one stage, of which rank 0 writes one every `every_seconds` and at a signal.

    `key` is the stage's in the cache: a snapshot of another key is of other code, configuration, data or ranks, and is
    left alone until the first one of this key takes its place. A new one is complete before the last one goes. `check`
    raises UserError where the data are no longer what the key says.
    """

    def __init__(
        self,
        directory: Path,
        stage: str,
        key: str,
        every_seconds: float,
        recorder: Recorder,
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
        self.signals.put_back()  # an error says more than the signal that waited

    def request(self) -> int:
        due = dist.is_main() and time.perf_counter() - self._saved >= self.every_seconds
        return self.signals.noted or DUE * due

    def restore(self, state: LoopState) -> int:
        self.signals.hold()
        path, about = dist.broadcast_object(self._newest() if dist.is_main() else None)
        self._saved = time.perf_counter()
        if path is None:
            return 0
        shared, own = (_read(path / name) for name in (SHARED, OWN.format(dist.rank())))
        said = read_said(path)
        try:
            state.load_state_dict(shared, own["loop"])
            random_states.set_states(own["random"])
        except torch.OutOfMemoryError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"{path}: is of another loop ({excerpt(str(error))}); remove it to do without") from error
        self.recorder.retell(said)
        self.times = about["times"] + 1
        self.loop_seconds, self.stage_seconds = about["loop_seconds"], about["stage_seconds"]
        self.recorder.heard.event("resumed", stage=self.stage, done=about["done"], times=self.times)
        return int(about["done"])

    def save(self, state: LoopState, done: int, request: int, seconds: Callable[[], float] = float) -> None:
        """A file that cannot be written is logged, and does not end the job."""
        self.check()
        own = dist.all_gather_object(_bytes({"loop": state.rank_state_dict(), "random": random_states.states()}))
        started, error = time.perf_counter(), None

        def write(directory: Path) -> None:
            _write(directory / SHARED, lambda file: torch.save(state.state_dict(), file))
            for rank, part in enumerate(own):
                _write(directory / OWN.format(rank), part)
            _write(directory / SAID, json.dumps(self.recorder.said).encode())
            about = {
                "key": self.key,
                "done": done,
                "times": self.times,
                "stage_seconds": self.stage_seconds + time.perf_counter() - self._began,
                "loop_seconds": seconds(),  # last, since what saving takes is time of the loop
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
        error = dist.broadcast_object(error)  # nobody goes on before the snapshot is there
        self._saved = time.perf_counter()
        if error is None:
            self.recorder.heard.event("saved", stage=self.stage, done=done, seconds=self._saved - started)
        else:
            self.recorder.heard.event("not_saved", stage=self.stage, done=done, error=error)
        if request > DUE:
            self.signals.heed(request)

    def release(self) -> None:
        self.signals.release()

    def _newest(self) -> tuple[Path | None, dict[str, Any]]:
        """The newest whole snapshot of this key, and what it says about itself."""
        found = sorted(self.root.glob(NAMES), reverse=True) if self.root.is_dir() else []
        for path in found:
            about, why = _about(path)
            if about is not None and about["key"] == self.key:
                return path, about
            why = why or "other code, configuration, data or processes made it"
            self.recorder.heard.event("snapshot_ignored", stage=self.stage, snapshot=str(path), because=why)
        return None, {}


def remove_all(directory: Path) -> None:
    """Remove the snapshots of a run directory. What others have put beside them stays."""
    for root in (directory / FOLDER).glob("*/"):
        _remove(root)
    with suppress(OSError):
        (directory / FOLDER).rmdir()


def _remove(root: Path, but: Path | None = None) -> None:
    """Remove a stage's snapshots, `but` one, and what a killed process left of one."""
    for path in root.glob(f".*{UNFINISHED}"):
        shutil.rmtree(path, ignore_errors=True)
    for path in root.glob(NAMES):
        if path != but and Entry(path).is_own():
            with suppress(OSError):
                Entry(path).remove()
    with suppress(OSError):
        root.rmdir()


def _about(path: Path) -> tuple[dict[str, Any] | None, str]:
    """What a snapshot says about itself, or None and why there is nothing."""
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
    """Executes nothing that is in the file. Raises UserError for one that is whole and no state."""
    try:
        return load_tensors(path, "cpu", "a snapshot")
    except UserError as error:
        raise UserError(f"{error}; remove {path.parent} to do without") from error


def _write(path: Path, content: bytes | Callable[[BinaryIO], Any]) -> None:
    """A file that is on the disk before its directory gets its name."""
    with path.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())
