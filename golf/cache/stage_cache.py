"""Stages that were computed before: their output, record and what they said, under a key of what they depend on."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golf.cache.entries import PATIENCE, Entry, claimed, user_cache
from golf.cache.prune import prune, require_cache
from golf.errors import UserError, excerpt, one_line, require
from golf.events import Listener
from golf.io.forms import Computed
from golf.io.run_directory import check_record
from golf.runtime import dist
from golf.utils.atomic import atomic_write, write_json
from golf.utils.disk import room_for
from golf.utils.reading import MAX_SHOWN, read_json

RECORD, SAID = "record.json", "said.json"
MAX_SAID = 1 << 28  # bytes: a long training says much


class NoCache:
    """cache=off: everything is computed."""

    def check(self) -> None:
        """Nothing can be wrong with it."""

    def claimed(self, key: str, events: Listener) -> AbstractContextManager[Entry | None]:
        return nullcontext()


@dataclass(kw_only=True)
class StageCache(NoCache):
    """Entries lie in `directory` (null: golf/stages in the user's cache). Above `limit_gib`, those that were not used
    for longest go."""

    directory: str | Path | None
    limit_gib: float
    _is_used: bool = field(default=True, init=False)

    def check(self) -> None:
        """Raise UserError for a directory that was given and is no cache."""
        require(self.limit_gib >= 0, f"cache.limit_gib={self.limit_gib} must not be negative")
        if self.directory is None:
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            require_cache(self.root)
        except OSError as error:
            raise UserError(f"cache.directory: {self.root} cannot be used ({error.strerror}); or cache=off") from error
        except UserError as error:
            raise UserError(f"cache.directory: {error}") from error

    @property
    def root(self) -> Path:
        return user_cache(self.directory, "stages")

    @contextmanager
    def claimed(self, key: str, events: Listener) -> Iterator[Entry | None]:
        """The entry, for this job alone, on rank 0; one that is whole also where another job holds it or nothing can be
        written. None on the other ranks, and after an event where the cache cannot be used."""
        if not dist.is_main() or not self._is_used:
            yield None
            return
        with ExitStack() as held:
            try:
                entry = self._claim(key, events, held)
            except OSError as error:
                place = self.directory or "golf/stages in the user's cache"
                events.event("cache_not_used", directory=str(place), reason=str(error))
                entry, self._is_used = None, False
            yield entry
        if self._is_used:
            try:
                prune(self.root, int(self.limit_gib * 2**30))
            except OSError as error:
                events.event("cache_not_pruned", directory=str(self.root), reason=one_line(error))

    def _claim(self, key: str, events: Listener, held: ExitStack) -> Entry:
        root = self.root

        def waiting() -> None:
            events.event("waiting_for_another_job", directory=str(root / key), seconds=PATIENCE)

        try:
            return held.enter_context(claimed(root, key, seconds=0))
        except OSError as error:
            kept = Entry(root / key, read_only=True)
            if kept.is_whole():
                return kept
            if not isinstance(error, BlockingIOError):
                raise
        return held.enter_context(claimed(root, key, waiting=waiting))


def keep(entry: Entry, output: Path | None, record: Mapping[str, Any], said: list[Any], events: Listener) -> None:
    """Fill the entry of a stage that was computed. Where that cannot be done, the job goes on without."""

    def write(directory: Path) -> None:
        if output is not None:
            _link(output, directory / output.name)
        write_json(directory / RECORD, dict(record))
        (directory / SAID).write_text(json.dumps(said), encoding="utf-8")

    try:
        entry.fill(write)
    except Exception as error:
        events.event("not_cached", stage=record["stage"], reason=one_line(error))


def serve(entry: Entry, output: Path | None, events: Listener) -> dict[str, Any] | None:
    """Put the output of the entry's stage where it belongs, tell `events` what was said, and return the record.

    None, after an event where it is not simply missing, if the entry cannot be used; the stage is computed then. Raises
    UserError if the disk of `output` is full.
    """
    if not entry.is_whole():
        return None
    try:
        record, said = read_entry(entry.path), read_said(entry.path)
        made = None if output is None else entry.path / output.name
        require(made is None or made.is_file(), f"{made}: is missing")
    except UserError as error:
        events.event("cache_not_used", directory=str(entry.path), reason=str(error))
        return None
    if output is not None and made is not None:
        try:
            with room_for(output), atomic_write(output) as temporary:
                _link(made, temporary)
        except FileNotFoundError as error:  # another job has just removed it
            events.event("cache_not_used", directory=str(entry.path), reason=str(error))
            return None
    with suppress(OSError):  # of a cache that somebody else looks after
        os.utime(entry.path)  # used now
    tell(said, events)
    return record


def stage_of(directory: Path) -> str:
    """The stage whose entry the directory is, or `?` if nobody knows."""
    try:
        return str(read_entry(directory)["stage"])
    except UserError:
        return "?"


def read_entry(directory: Path) -> dict[str, Any]:
    """The record in an entry's directory. Raises UserError if it cannot be read."""
    path = directory / RECORD
    record: dict[str, Any] = read_json(path, Computed)
    check_record(record, path, record["stage"])
    return record


def read_said(directory: Path) -> list[Any]:
    """What a Recorder heard, from an entry's directory. Raises UserError if it cannot be read."""
    path = directory / SAID
    said: list[Any] = read_json(path, list[list[Any]], MAX_SAID, allow_nan=True)
    for line in said:
        require(_is_said(line), f"{path}: {excerpt(str(line), MAX_SHOWN)} is nothing that a stage says")
    return said


def _is_said(line: list[Any]) -> bool:
    if len(line) != 4 or not isinstance(line[1], str) or not isinstance(line[3], dict):
        return False
    kind, _, step, values = line
    if kind == "event":
        return step is None and not {"self", "name"} & values.keys()
    numbers = all(type(value) in (int, float) for value in values.values())
    return kind == "metrics" and type(step) is int and numbers and not {"self", "stage", "step"} & values.keys()


def _link(source: Path, target: Path) -> None:
    """The same file in two places: files are replaced and never changed, and an entry whose file was, is damaged."""
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copy(source, target)


class Recorder(Listener):
    """Passes on what a stage says, and remembers its events and curves."""

    def __init__(self, heard: Listener):
        self.heard = heard
        self.said: list[Any] = []

    def event(self, name: str, **fields: Any) -> None:
        self.heard.event(name, **fields)
        self.said.append(["event", name, None, fields])

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self.heard.metrics(stage, step, **values)
        self.said.append(["metrics", stage, step, values])

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        self.heard.progress(stage, done, total, **notes)

    def retell(self, said: list[Any]) -> None:
        """Go on after what an earlier process said, which began with the same as this one."""
        tell(said[len(self.said) :], self.heard)
        self.said = list(said)


def tell(said: list[Any], events: Listener) -> None:
    """Tell `events` what a Recorder has heard."""
    for kind, name, step, values in said:
        if kind == "metrics":
            events.metrics(name, step, **values)
        else:
            events.event(name, **values)
