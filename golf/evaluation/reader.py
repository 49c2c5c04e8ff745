"""Losses of the targets that windows score (spec: Evaluation)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from golf.evaluation.stream import Stream
from golf.evaluation.windows import Windows
from golf.model.gpt import GPT
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.device import autocast, to_device


class Reader:
    """Runs the model on about `batch_tokens` tokens at once and rounds the logits to `logits_dtype` before the
    cross-entropy, which is computed in float32."""

    def __init__(self, batch_tokens: int, logits_dtype: torch.dtype):
        self.batch_tokens = batch_tokens
        self.logits_dtype = logits_dtype
        self._graphs: dict[GPT, CudaGraphed] = {}

    @torch.no_grad()
    def losses(self, model: GPT, stream: Stream, windows: Windows) -> Iterator[Tensor]:
        """Losses of the windows' scored targets in nats, in order, one float32 (targets,) per batch of windows."""
        at_once = max(self.batch_tokens // windows.seq_len, 1)
        for begin in range(0, len(windows), at_once):
            batch = windows[begin : begin + at_once]
            ids, targets = stream.sequences(batch.start, windows.seq_len)
            scored = to_device(batch.positions(), ids.device)
            yield self.nats(self.logits(model, ids, scored), targets.flatten()[scored])

    def logits(self, model: GPT, ids: Tensor, scored: Tensor) -> Tensor:
        """Logits (n, vocabulary) of ids (batch, length) at the scored positions (n,) in batch · length; head and last
        layer compute only these. The next call may overwrite them."""
        if model not in self._graphs:
            self._graphs[model] = CudaGraphed(model, _logits, ids.device)
        logits: Tensor = self._graphs[model](ids, scored)
        return logits

    def nats(self, logits: Tensor, targets: Tensor) -> Tensor:
        """−log p of targets (n,) under logits (n, vocabulary): float32 (n,)."""
        return F.cross_entropy(logits.to(self.logits_dtype).float(), targets, reduction="none")


def _logits(model: GPT, ids: Tensor, scored: Tensor) -> Tensor:
    with autocast(ids.device):
        return model.logits(model.hidden(ids, positions=scored))
