"""Causal grouped-query attention with q/k norm, partial rotary, per-head q gain and XSA (spec: Model 3)."""

import torch
from torch import Tensor, nn

from golf.kernels.attention import Attend
from golf.kernels.choose import Kernels


class Attention(nn.Module):
    """x (batch, length, width) → the same shape. `xsa` switches exclude_self on for this layer."""

    def __init__(self, attend: Attend, width: int, num_heads: int, num_kv_heads: int, qk_gain_init: float, xsa: bool):
        super().__init__()
        self.attend = attend
        head_size = width // num_heads
        self.xsa = xsa
        self.c_q = nn.Linear(width, num_heads * head_size, bias=False)
        self.c_k = nn.Linear(width, num_kv_heads * head_size, bias=False)
        self.c_v = nn.Linear(width, num_kv_heads * head_size, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.q_gain = nn.Parameter(torch.full((num_heads,), float(qk_gain_init)))

    def forward(
        self, kernels: Kernels, x: Tensor, cos: Tensor, sin: Tensor, scale: Tensor, only: Tensor | None = None
    ) -> Tensor:
        """`scale` (width,) multiplies the outputs; `only` some of them are wanted (see Block)."""
        weights = self.c_q.weight, self.c_k.weight, self.c_v.weight
        q, k, v, own = kernels.heads(x, *weights, self.q_gain, cos, sin, self.attend.each)
        y = self.attend(q, k, v)
        if self.xsa:
            y = kernels.exclude_self(y, own)
        y = y.flatten(2)
        return kernels.linear(y if only is None else y.flatten(0, 1)[only], self.proj.weight, scale)
