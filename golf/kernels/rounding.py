"""Rounding of weights to codes (spec: Quantization)."""

import torch
from torch import Tensor


def largest_code(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def round_to_codes(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Nearest codes (float32, same shape as weight) at steps `scale`, which broadcasts; 0 where the scale is 0."""
    limit = largest_code(bits)
    step = torch.where(scale > 0, scale, torch.inf)
    return (weight / step).round().clamp(-limit, limit)
