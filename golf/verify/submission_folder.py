"""A submission folder, read lazily."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from golf.errors import require
from golf.io.run_directory import ARTIFACT
from golf.pack.script import asked_for
from golf.pack.self_extracting import MAX_SCRIPT
from golf.submit.evidence import ScriptLog, read_log
from golf.submit.folder import COMPLIANCE, README, REQUIREMENTS, SCRIPT, SUBMISSION
from golf.utils.reading import read_bytes, read_json, read_text
from golf.verify.unpack import unpack

MAX_FILE = 1 << 28  # bytes; a submission has 16 MB
MAX_TEXT = 1 << 20


class SubmissionFolder:
    """Every access raises a UserError that names the file if it is missing or malformed."""

    def __init__(self, root: Path, data: Path | None):
        """data: the directory of shards and tokenizer to repeat the score with, or None."""
        self.root, self.data = root, data

    def path(self, name: str) -> Path:
        """Path of a regular file. Links are refused, since they may point anywhere."""
        path = self.root / name
        require(path.is_file() and not path.is_symlink(), f"{name}: is missing")
        require(path.stat().st_size <= MAX_FILE, f"{name}: has more than {MAX_FILE:,} bytes")
        return path

    def text(self, name: str) -> str:
        return read_text(self.path(name), MAX_TEXT)

    @cached_property
    def submission(self) -> dict[str, Any]:
        return self._json(SUBMISSION)

    @cached_property
    def compliance(self) -> dict[str, Any]:
        return self._json(COMPLIANCE)

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds listed in submission.json."""
        seeds: Any = self.submission.get("seeds")
        listed = isinstance(seeds, list) and len(seeds) > 0 and all(type(seed) is int for seed in seeds)
        require(listed and len(set(seeds)) == len(seeds), f"{SUBMISSION}: seeds: is not a list of distinct integers")
        return list(seeds)

    @property
    def names(self) -> list[str]:
        """The required files, except submission.json."""
        return [README, COMPLIANCE, REQUIREMENTS, SCRIPT, ARTIFACT, *map(_log_name, self.seeds)]

    @cached_property
    def script(self) -> bytes:
        return read_bytes(self.path(SCRIPT), MAX_SCRIPT)

    @property
    def sources(self) -> dict[str, str]:
        """The modules in the script."""
        return self._unpacked[0]

    @property
    def config(self) -> dict[str, Any]:
        """The configuration in the script."""
        return self._unpacked[1]

    def config_of(self, seed: int, directory: str) -> dict[str, Any]:
        """The configuration that the script runs with for this seed and data directory, as JSON values."""
        config: dict[str, Any] = json.loads(json.dumps(asked_for(self.config, seed, directory)))
        return config

    @cached_property
    def logs(self) -> dict[int, ScriptLog]:
        """By seed. Raises UserError for a log without a score."""
        logs = {seed: read_log(self.path(_log_name(seed))) for seed in self.seeds}
        for log in logs.values():
            require(log.score is not None, f"{log.path.name}: ends without a score")
        return logs

    @cached_property
    def _unpacked(self) -> tuple[dict[str, str], dict[str, Any]]:
        return unpack(self.script)

    def _json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.path(name), dict[str, Any], MAX_TEXT)
        return found


def _log_name(seed: int) -> str:
    return f"train_seed{seed}.log"
