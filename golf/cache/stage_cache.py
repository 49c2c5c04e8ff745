"""The cache of stages: the output, report and events of a stage that was computed, under a key of its inputs."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from golf.cache.entries import PATIENCE, Entry, claimed, user_cache
from golf.cache.prune import prune, require_cache
from golf.errors import UserError, one_line, require
from golf.events import Listener
from golf.io import event_file
from golf.io.event_file import EVENTS, read_events, replay
from golf.io.forms import Computed
from golf.io.run_directory import check_report
from golf.runtime import dist
from golf.utils.atomic import atomic_write, write_json
from golf.utils.disk import room_for
from golf.utils.reading import read_json

REPORT = "report.json"


class NoCache:
    """cache=off: everything is computed."""

    def check(self) -> None:
        """There is nothing to check."""

    def claimed(self, key: str, events: Listener) -> AbstractContextManager[Entry | None]:
        return nullcontext()


@dataclass(kw_only=True)
class StageCache(NoCache):
    """Entries lie in `directory` (null: golf/stages in the user's cache). Above `limit_gib`, the least recently used
    are removed."""

    directory: str | Path | None
    limit_gib: float
    _is_used: bool = field(default=True, init=False)

    def check(self) -> None:
        """Raise UserError for a directory that was given and is not a cache."""
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
        """The entry under `key`, locked for this job, on rank 0. A whole entry is also returned, to read only, if
        another job holds the lock or the cache cannot be written.

        None on the other ranks, and after an event if the cache cannot be used.
        """
        if not dist.is_main() or not self._is_used:
            yield None
            return
        with ExitStack() as locks:
            try:
                entry = self._claim(key, events, locks)
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

    def _claim(self, key: str, events: Listener, locks: ExitStack) -> Entry:
        root = self.root

        def waiting() -> None:
            events.event("waiting_for_another_job", directory=str(root / key), seconds=PATIENCE)

        try:
            return locks.enter_context(claimed(root, key, seconds=0))
        except OSError as error:
            kept = Entry(root / key, read_only=True)
            if kept.is_whole():
                return kept
            if not isinstance(error, BlockingIOError):
                raise
        return locks.enter_context(claimed(root, key, waiting=waiting))


def store(
    entry: Entry, output: Path | None, report: Mapping[str, Any], recorded: event_file.Events, events: Listener
) -> None:
    """Fill the entry of a stage that was computed. If that fails, the job continues without."""

    def write(directory: Path) -> None:
        if output is not None:
            _link(output, directory / output.name)
        write_json(directory / REPORT, dict(report))
        (directory / EVENTS).write_text(event_file.to_json(recorded), encoding="utf-8")

    try:
        entry.fill(write)
    except Exception as error:
        events.event("not_cached", stage=report["stage"], reason=one_line(error))


def load(entry: Entry, output: Path | None, events: Listener) -> dict[str, Any] | None:
    """Put the file of the entry's stage at `output`, emit its events again, and return its report.

    Returns None if the entry cannot be used, after an event unless it is simply missing. Raises UserError if the disk
    of `output` is full.
    """
    if not entry.is_whole():
        return None
    try:
        report, recorded = read_entry(entry.path), read_events(entry.path)
        if output is not None:
            made = entry.path / output.name
            require(made.is_file(), f"{made}: is missing")
    except UserError as error:
        events.event("cache_not_used", directory=str(entry.path), reason=str(error))
        return None
    if output is not None:
        try:
            with room_for(output), atomic_write(output) as temporary:
                _link(entry.path / output.name, temporary)
        except FileNotFoundError as error:  # another job has just removed it
            events.event("cache_not_used", directory=str(entry.path), reason=str(error))
            return None
    with suppress(OSError):  # of a cache that may only be read
        os.utime(entry.path)  # used now
    replay(recorded, events)
    return report


def stage_of(directory: Path) -> str:
    """The stage whose entry the directory is; `?` if it cannot be read."""
    try:
        return str(read_entry(directory)["stage"])
    except UserError:
        return "?"


def read_entry(directory: Path) -> dict[str, Any]:
    """The report in an entry's directory. Raises UserError if it cannot be read."""
    path = directory / REPORT
    report: dict[str, Any] = read_json(path, Computed)
    check_report(report, path, report["stage"])
    return report


def _link(source: Path, target: Path) -> None:
    """Hard-link, or copy to another file system: files are replaced and never changed in place, and an entry with a
    changed file counts as damaged."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
