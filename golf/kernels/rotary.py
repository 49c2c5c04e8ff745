"""Rotary position embedding on the first dimensions of each head (RoPE, arXiv:2104.09864; spec: Model 3)."""

import torch
from torch import Tensor


def rotary_tables(
    length: int, dims: int, base: float, train_length: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """cos and sin, each (length, dims/2), float32 whatever the model's dtype: bfloat16 would round the frequencies.

    Sequences longer than the training length stretch the base (NTK-aware scaling), so that the lowest frequency
    turns no further than it did in training.
    """
    if length > train_length:
        base = base * (length / train_length) ** (dims / (dims - 2))
    frequencies = base ** (-torch.arange(0, dims, 2, dtype=torch.float32, device=device) / dims)
    angles = torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequencies
    return angles.cos(), angles.sin()


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the first 2·cos.size(-1) dimensions of x (batch, length, heads, head size), in half-split form."""
    half = cos.size(-1)
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.cat([(a * cos + b * sin).to(x.dtype), (b * cos - a * sin).to(x.dtype), rest], dim=-1)
