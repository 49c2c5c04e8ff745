"""Causal grouped-query attention with q/k norm, partial rotary, per-head q gain and XSA (spec: Model 3)."""

import torch
from torch import Tensor, nn

from golf.kernels.backend import Backend


class Attention(nn.Module):
    """x (batch, length, width) → the same shape. `xsa` switches exclude_self on for this layer."""

    def __init__(self, backend: Backend, width: int, num_heads: int, num_kv_heads: int, qk_gain_init: float, xsa: bool):
        super().__init__()
        self.attend = backend.attend
        self.kernels = backend.kernels
        head_size = width // num_heads
        self.xsa = xsa
        self.c_q = nn.Linear(width, num_heads * head_size, bias=False)
        self.c_k = nn.Linear(width, num_kv_heads * head_size, bias=False)
        self.c_v = nn.Linear(width, num_kv_heads * head_size, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.q_gain = nn.Parameter(torch.full((num_heads,), float(qk_gain_init)))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, scale: Tensor, positions: Tensor | None = None) -> Tensor:
        """`scale` (width,) multiplies the outputs; `positions`: those to compute (see Block)."""
        weights = self.c_q.weight, self.c_k.weight, self.c_v.weight
        q, k, v, own = self.kernels.heads(x, *weights, self.q_gain, cos, sin, self.attend.per_query_head)
        y = self.attend(q, k, v)
        if self.xsa:
            y = self.kernels.exclude_self(y, own)
        y = y.flatten(2)
        return self.kernels.linear(y if positions is None else y.flatten(0, 1)[positions], self.proj.weight, scale)
