"""A job as a worker process gets it: JSON in a file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """What `golf.pipeline.run` takes, and what the process that runs it has to set up first.

    label: stands before every line on the terminal, "" where no other job writes there. sys_path: folders of the user's
    own classes. logging: as `logging.config.dictConfig` takes it.
    """

    config: Mapping[str, Any]
    directory: str
    choices: Mapping[str, str]
    overridden: list[str]
    label: str
    sys_path: list[str]
    logging: Mapping[str, Any]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> "Task":
        return Task(**json.loads(path.read_text(encoding="utf-8")))
