"""The files of one run: where a stage finds its inputs and puts its output (README: What a run leaves)."""

import json
from pathlib import Path
from typing import Any

from golf.atomic import write_json
from golf.errors import UserError, require

CHECKPOINT, ARTIFACT, RESULTS, CONFIG = "checkpoint.pt", "artifact.golf", "results.json", "config.yaml"
# Of a stage's record: what it read and wrote, what it was configured to do, who did it, how often it was cut off and
# resumed, and what came out.
RECORD_KEYS = frozenset(
    (
        *("stage", "key", "seconds", "resumed", "peak_memory_bytes"),
        *("inputs", "output", "config", "choices", "provenance", "result"),
    )
)


class RunFiles:
    """A run directory, and optionally a `source`: an earlier run's directory, or an artifact file.

    What this run has made (`made`: stages, and names of files) is read from the run directory. The rest is looked for
    in the source, and without one in the run directory too, where a job that runs again finds what it made before.
    """

    def __init__(self, directory: Path, source: str | None):
        require(source != "", "input= is empty; give a run directory or an artifact file, or null")
        self.directory = directory
        self.made: set[str | None] = set()
        self.source = None if source is None else Path(source)
        if self.source is not None and not self.source.exists():
            raise UserError(f"input={source} does not exist; give a run directory or an artifact file")

    def path(self, name: str) -> Path:
        return self.directory / name

    def find(self, name: str) -> Path | None:
        """Where the file `name` is, or None."""
        path = self.directory / name
        if self.source is not None and name not in self.made:
            if not self.source.is_dir():
                return self.source if name == ARTIFACT else None
            path = self.source / name
        return path if path.is_file() else None

    def get(self, name: str) -> Path:
        """Where the file `name` is; the pipeline has made sure beforehand that it is there."""
        found = self.find(name)
        assert found is not None, name
        return found

    def read_record(self, stage: str) -> dict[str, Any] | None:
        """What the stage wrote about itself, here or in the source. Raises UserError if that cannot be read."""
        found = self.find(record_name(stage)) if stage not in self.made else self.path(record_name(stage))
        if found is None:
            return None
        try:
            record = json.loads(found.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{found}: cannot be read as JSON ({error}); remove it to go on without it") from error
        whole = isinstance(record, dict) and record.keys() == RECORD_KEYS
        require(whole, f"{found}: is no record of a stage of this version; remove it to go on without it")
        return record

    def write_record(self, record: dict[str, Any]) -> None:
        assert record.keys() == RECORD_KEYS
        write_json(self.path(record_name(record["stage"])), record)


def record_name(stage: str) -> str:
    """The file that holds a stage's record."""
    return f"{stage}.json"


def read_records(directory: Path) -> list[dict[str, Any]]:
    """The records of the stages that a run directory holds, in the order of writing."""
    found = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    return [content for content in contents if isinstance(content, dict) and content.keys() == RECORD_KEYS]


def runs_of_sweep(directory: Path) -> list[Path]:
    """The directories of its runs, if `directory` is a sweep's."""
    runs = sorted(path.parent for path in directory.glob(f"*/{CONFIG}"))
    return [] if (directory / CONFIG).exists() else runs


def read_results(directory: Path) -> dict[str, Any] | None:
    """The content of results.json of a run directory, or None without it."""
    path = directory / RESULTS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
