"""The tied head and its soft-capped cross-entropy (spec: Model 7)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_cap(logits: Tensor, cap: float) -> Tensor:
    """cap·tanh(logits/cap), float32."""
    return cap * torch.tanh(logits.float() / cap)


def cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float) -> Tensor:
    """Mean nats per token of targets (batch, length): hidden (batch, length, width), embedding (vocabulary, width)."""
    logits = soft_cap(F.linear(hidden, embedding.to(hidden.dtype)), cap)
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten())
