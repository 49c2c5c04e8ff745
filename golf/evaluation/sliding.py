"""Scoring windows with a model, and the plain and sliding scores (spec: Evaluation)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from golf import dist
from golf.device import autocast
from golf.errors import require
from golf.evaluation.stream import Score, Stream, Tally
from golf.evaluation.windows import Windows, sliding_windows
from golf.events import Listener
from golf.model.gpt import GPT


@dataclass(kw_only=True)
class Sliding:
    """How the validation stream is read: windows every `stride` tokens, about `batch_tokens` tokens at once.

    `logits_dtype`: the record rounded the logits of sliding windows and TTT to bfloat16 before the cross-entropy.
    """

    stride: int
    batch_tokens: int
    logits_dtype: Literal["float32", "bfloat16"]

    def __post_init__(self) -> None:
        require(self.batch_tokens > 0, f"evaluation.batch_tokens={self.batch_tokens} must be at least 1")

    def windows(self, num_targets: int, seq_len: int) -> Windows:
        in_range = 0 < self.stride <= seq_len
        require(in_range, f"evaluation.stride={self.stride} must lie between 1 and model.seq_len={seq_len}")
        return sliding_windows(num_targets, seq_len, self.stride)

    def plain_score(self, model: GPT, stream: Stream, events: Listener) -> Score:
        """Non-overlapping windows, always with float32 logits."""
        windows = sliding_windows(stream.num_targets, model.seq_len, model.seq_len)
        return self._score("plain", model, stream, windows, torch.float32, events)

    def sliding_score(self, model: GPT, stream: Stream, events: Listener) -> Score:
        windows = self.windows(stream.num_targets, model.seq_len)
        return self._score("sliding", model, stream, windows, getattr(torch, self.logits_dtype), events)

    def _score(
        self, name: str, model: GPT, stream: Stream, windows: Windows, dtype: torch.dtype, events: Listener
    ) -> Score:
        tally = Tally(stream)
        tally.add(self._nats(model, stream, windows, dtype, name, events), windows.num_targets)
        return tally.score()

    def nats(self, model: GPT, stream: Stream, windows: Windows) -> float:
        """Sum of the losses of the windows' targets. The ranks share the windows, and each returns the whole sum."""
        return self._nats(model, stream, windows, getattr(torch, self.logits_dtype), "", Listener())

    def _nats(
        self, model: GPT, stream: Stream, windows: Windows, dtype: torch.dtype, name: str, events: Listener
    ) -> float:
        mine = windows[dist.share(len(windows))]
        total = torch.zeros((), dtype=torch.float64, device=stream.tokens.device)
        done = 0
        for losses in self.losses(model, stream, mine, dtype):
            total += losses.sum(dtype=torch.float64)
            done += len(losses)
            events.progress(name, done, mine.num_targets)
        dist.sum_([total])
        return total.item()

    @torch.no_grad()
    def losses(self, model: GPT, stream: Stream, windows: Windows, dtype: torch.dtype) -> Iterator[Tensor]:
        """Nats of the windows' scored targets, in order, a batch of windows at a time: float32 (targets,).

        dtype: what the logits are rounded to before the cross-entropy, which is taken in float32.
        """
        device = stream.tokens.device
        at_once = max(self.batch_tokens // windows.seq_len, 1)
        offset = torch.arange(windows.seq_len, device=device)
        for begin in range(0, len(windows), at_once):
            batch = windows[begin : begin + at_once]
            ids, targets = stream.sequences(batch.start, windows.seq_len)
            first, end = (torch.from_numpy(edge - batch.start).to(device)[:, None] for edge in (batch.first, batch.end))
            scored = (first <= offset) & (offset < end)
            with autocast(device):
                logits = model.logits(model.hidden(ids)[scored])  # the head only where a target is scored
            yield F.cross_entropy(logits.to(dtype).float(), targets[scored], reduction="none")
