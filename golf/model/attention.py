"""Causal grouped-query attention with q/k norm, partial rotary, per-head q gain and XSA (spec: Model 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golf.model.attend import Attend
from golf.model.norm import norm
from golf.model.rotary import apply_rotary


def exclude_self(y: Tensor, v: Tensor) -> Tensor:
    """XSA: take from each head's output its projection on the unit vector of that position's own value.

    y is (batch, length, heads, head size); v (batch, length, kv heads, head size), one for a group of heads.
    """
    grouped = y.unflatten(2, (v.size(2), -1))
    direction = F.normalize(v, dim=-1).unsqueeze(3)
    return (grouped - (grouped * direction).sum(-1, keepdim=True) * direction).flatten(2, 3)


class Attention(nn.Module):
    """x (batch, length, width) → the same shape. `xsa` switches exclude_self on for this layer."""

    def __init__(self, attend: Attend, width: int, num_heads: int, num_kv_heads: int, qk_gain_init: float, xsa: bool):
        super().__init__()
        self.attend = attend
        self.head_size = width // num_heads
        self.xsa = xsa
        self.c_q = nn.Linear(width, num_heads * self.head_size, bias=False)
        self.c_k = nn.Linear(width, num_kv_heads * self.head_size, bias=False)
        self.c_v = nn.Linear(width, num_kv_heads * self.head_size, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.q_gain = nn.Parameter(torch.full((num_heads,), qk_gain_init))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        heads = (-1, self.head_size)
        q = apply_rotary(norm(self.c_q(x).unflatten(-1, heads)), cos, sin)
        k = apply_rotary(norm(self.c_k(x).unflatten(-1, heads)), cos, sin)
        v = self.c_v(x).unflatten(-1, heads)
        q = q * self.q_gain.to(q.dtype)[:, None]
        y = self.attend(q, k, v)
        if self.xsa:
            y = exclude_self(y, v)
        return self.proj(y.flatten(2))
