"""The passes over the validation stream: plain and sliding windows (spec: Evaluation)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from golf.errors import require
from golf.evaluation.ledger import Ledger, Probe
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Stream
from golf.evaluation.windows import Windows, sliding_windows

MakeProbe = Callable[[int, int], Probe]  # takes the numbers of places and of targets


@dataclass(kw_only=True)
class Sliding:
    """Reads the validation stream in windows every `stride` tokens, about `batch_tokens` tokens at once.

    `logits_dtype`: the record rounded the logits of sliding windows and TTT to bfloat16 before the cross-entropy.
    `probes`: the number of places of a pass at which causality and normalisation are tested.
    """

    stride: int
    batch_tokens: int
    logits_dtype: Literal["float32", "bfloat16"]
    probes: int

    def __post_init__(self) -> None:
        require(self.batch_tokens > 0, f"evaluation.batch_tokens={self.batch_tokens} must be at least 1")
        require(self.probes >= 0, f"evaluation.probes={self.probes} must not be negative")

    def windows(self, num_targets: int, seq_len: int) -> Windows:
        in_range = 0 < self.stride <= seq_len
        require(in_range, f"evaluation.stride={self.stride} must lie between 1 and model.seq_len={seq_len}")
        return sliding_windows(num_targets, seq_len, self.stride)

    def plain(self, stream: Stream, seq_len: int, probe: MakeProbe | None = None) -> Ledger:
        """A pass with non-overlapping windows, always with float32 logits."""
        windows = sliding_windows(stream.num_targets, seq_len, seq_len)
        return self._ledger(stream, windows, torch.float32, probe)

    def sliding(self, stream: Stream, seq_len: int, probe: MakeProbe | None = None) -> Ledger:
        """A pass with sliding windows."""
        windows = self.windows(stream.num_targets, seq_len)
        return self._ledger(stream, windows, getattr(torch, self.logits_dtype), probe)

    def _ledger(self, stream: Stream, windows: Windows, dtype: torch.dtype, probe: MakeProbe | None) -> Ledger:
        made = None if probe is None or self.probes == 0 else probe(self.probes, stream.num_targets)
        return Ledger(stream, windows, Reader(self.batch_tokens, dtype), made)
