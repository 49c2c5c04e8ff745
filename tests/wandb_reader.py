"""Reads what an offline W&B run recorded, without W&B's own (private) reader.

A .wandb file is a header of 7 bytes, then LevelDB's log format: blocks of 32 KiB hold chunks, each with a header of
checksum (4 bytes), length (2) and type (1: a whole record; 2, 3, 4: its first, middle, last chunk). A record is a
protobuf message.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32768, 7
WHOLE, LAST = 1, 4


@dataclass
class Run:
    """One .wandb file in plain values."""

    id: str = ""
    project: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    exit_code: int | None = None

    def curve(self, x: str, y: str) -> list[tuple[Any, Any]]:
        return [(row[x], row[y]) for row in self.history if y in row]


def runs(directory: Path) -> list[Run]:
    """The runs in a run directory, offline or not, oldest first."""
    return [_read(path) for path in sorted(directory.glob("wandb/*run-*-*/*.wandb"))]


def _read(path: Path) -> Run:
    run = Run()
    for record in _records(path.read_bytes()):
        match record.WhichOneof("record_type"):
            case "run":
                run.id, run.project, run.group = record.run.run_id, record.run.project, record.run.run_group
                run.job_type, run.tags = record.run.job_type, list(record.run.tags)
                run.config = _values(record.run.config.update)
            case "history":
                run.history.append(_values(record.history.item))
            case "summary":
                run.summary |= _values(record.summary.update)
            case "metric":
                run.axes[record.metric.glob_name or record.metric.name] = record.metric.step_metric
            case "artifact":
                run.artifacts.append(record.artifact)
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def _records(data: bytes) -> Iterator[Record]:
    position, chunks = HEADER, b""
    while position + HEADER <= len(data):
        if (room := BLOCK - position % BLOCK) < HEADER:  # the rest of a block is padding
            position += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += HEADER + length
        chunks += data[position - length : position]
        if kind in (WHOLE, LAST):
            yield Record.FromString(chunks)
            chunks = b""


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
