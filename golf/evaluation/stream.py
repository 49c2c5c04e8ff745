"""The validation stream and the running score over it (spec: Evaluation)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golf.data.tokenizer import ByteTable
from golf.errors import Diverged
from golf.runtime.device import to_device


@dataclass(frozen=True)
class Score:
    """`val_loss` in nats per token, `val_bpb` in bits per byte."""

    val_loss: float
    val_bpb: float


@dataclass(frozen=True)
class Stream:
    """tokens int64 (n + 1,): the first n are inputs, the last n are targets. target_bytes (n,): their lengths."""

    tokens: Tensor
    target_bytes: np.ndarray

    @classmethod
    def of(cls, tokens: np.ndarray, byte_table: ByteTable, device: torch.device) -> "Stream":
        """The stream of tokens (n + 1,) on a device."""
        on_device = torch.from_numpy(tokens.astype(np.int64)).to(device)
        return cls(on_device, byte_table.target_bytes(tokens))

    @property
    def num_targets(self) -> int:
        return len(self.target_bytes)

    def part(self, begin: int, end: int) -> "Stream":
        """A copy of the targets from `begin` to `end` − 1, or to the last one."""
        return Stream(self.tokens[begin : end + 1].clone(), self.target_bytes[begin:end])

    def sequences(self, starts: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (len(starts), length) from each start; past the stream's end its last token repeats."""
        device = self.tokens.device
        index = to_device(starts, device)[:, None] + torch.arange(length + 1, device=device)
        rows = self.tokens[index.clamp_max(self.num_targets)]
        return rows[:, :-1], rows[:, 1:]


class Tally:
    """Running score of the targets so far, in the stream's order."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self.nats = 0.0
        self.targets = 0
        self.bytes = 0

    def add(self, nats: float, targets: int) -> None:
        """Add `nats`, the sum of the losses of the next `targets` targets."""
        end = self.targets + targets
        self.bytes += int(self.stream.target_bytes[self.targets : end].sum())
        self.nats += nats
        self.targets = end

    def state_dict(self) -> dict[str, Any]:
        """The sums so far."""
        return {"nats": self.nats, "targets": self.targets, "bytes": self.bytes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where a tally of the same stream was."""
        self.nats, self.targets, self.bytes = state["nats"], state["targets"], state["bytes"]

    def score(self) -> Score:
        """The score so far. Raises Diverged if a loss was not finite."""
        if not math.isfinite(self.nats):
            raise Diverged(
                f"the loss of the first {self.targets} targets is {self.nats}; lower the optimizer's rates, or ttt.lr "
                "if TTT changed the weights"
            )
        return Score(val_loss=self.nats / self.targets, val_bpb=self.nats / math.log(2) / self.bytes)


def unigram(stream: Stream) -> Score:
    """The stream's own order-0 entropy: what the best possible unigram model of these tokens would score."""
    targets = stream.tokens[1:]
    counts = targets.bincount().double()
    counts = counts[counts > 0]
    nats = -(counts * (counts / len(targets)).log()).sum().item()
    return Score(val_loss=nats / len(targets), val_bpb=nats / math.log(2) / int(stream.target_bytes.sum()))
