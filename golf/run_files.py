"""The files of one run: where a stage finds its inputs and puts its output (README: What a run leaves)."""

import json
from pathlib import Path
from typing import Any

from golf.atomic import write_json
from golf.errors import UserError

CHECKPOINT, ARTIFACT, RESULTS = "checkpoint.pt", "artifact.golf", "results.json"


class RunFiles:
    """A run directory, and optionally a `source`: an earlier run's directory, or an artifact file.

    What a stage reads is looked for in the run directory first, then in the source.
    """

    def __init__(self, directory: Path, source: str | None):
        self.directory = directory
        self.source = None if source is None else Path(source)
        if self.source is not None and not self.source.exists():
            raise UserError(f"input={source} does not exist; give a run directory or an artifact file")

    def path(self, name: str) -> Path:
        return self.directory / name

    def find(self, name: str) -> Path | None:
        """Where the file `name` is, or None."""
        candidates = [self.directory / name]
        if self.source is not None and self.source.is_dir():
            candidates.append(self.source / name)
        elif self.source is not None and name == ARTIFACT:
            candidates.append(self.source)
        return next((path for path in candidates if path.is_file()), None)

    def get(self, name: str) -> Path:
        """Where the file `name` is; the pipeline has made sure beforehand that it is there."""
        found = self.find(name)
        assert found is not None, name
        return found

    def record(self, stage: str) -> dict[str, Any] | None:
        """What the stage wrote about itself, here or in the source."""
        found = self.find(f"{stage}.json")
        return None if found is None else json.loads(found.read_text(encoding="utf-8"))

    def write_record(self, stage: str, record: dict[str, Any]) -> None:
        write_json(self.path(f"{stage}.json"), record)
