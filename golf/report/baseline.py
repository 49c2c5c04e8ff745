"""The scores that a variant has to beat, from a JSON file.

    {"name": "…", "bytes_per_token": 3.718, "tokenizer_sha256": "…", "val_targets": 40540160,
     "seeds": {"1337": {"val_bpb": 1.08218, "total_bytes": 15982929}, …}}

bytes_per_token and val_targets are of the scored tokens; tokenizer_sha256 and val_targets may be null, and then it is
unknown whether the same text was scored. In record.json, beside this file, bytes_per_token follows from the challenge's
own figure: 0.005 nats per token of SP8192 on FineWeb are 0.00194 bits per byte.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from golf.errors import UserError, require
from golf.io.limits import RECORD_MARGIN_NATS
from golf.report.runs import Run
from golf.utils.reading import read_json

RECORD = Path(__file__).parent / "record.json"


class Score(TypedDict):
    val_bpb: float


class Content(TypedDict):
    name: str
    bytes_per_token: float
    tokenizer_sha256: str | None
    val_targets: int | None
    seeds: dict[str, Score]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """`seeds`: by seed, its val_bpb and total_bytes."""

    name: str
    bytes_per_token: float
    tokenizer_sha256: str | None
    val_targets: int | None
    seeds: Mapping[str, Mapping[str, float]]

    @property
    def scores(self) -> list[float]:
        return [values["val_bpb"] for values in self.seeds.values()]

    @property
    def margin(self) -> float:
        """The challenge's margin in bits per byte of the baseline's own text and tokenizer."""
        return RECORD_MARGIN_NATS / math.log(2) / self.bytes_per_token

    def scored_the_same(self, run: Run) -> bool:
        return (run.scored_on["tokenizer"], run.val_targets) == (self.tokenizer_sha256, self.val_targets)


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises UserError if the file cannot be read or lacks a value."""
    try:
        content = read_json(path, Content)
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: is not a baseline ({why}); golf/report/baseline.py shows its form") from error
    well = len(content["seeds"]) > 0 and content["bytes_per_token"] > 0
    require(well, f"{path}: a baseline needs a seed, and bytes_per_token above 0")
    return Baseline(**{key: content[key] for key in Content.__required_keys__})
