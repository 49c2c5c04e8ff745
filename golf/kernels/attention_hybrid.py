"""cuDNN's attention forward and FlashAttention 4's backward, each the faster one on Hopper.

Backward takes the query heads that share keys one after another, each with keys of its own: so the gradients are
written as they are, and not added up in float32 in memory first.
"""

from typing import Any

import torch
from flash_attn.cute.interface import _flash_attn_bwd as flash_attn_backward
from torch import Tensor


class _Hybrid(torch.autograd.Function):
    """k and v are given for each query head, (batch, length, kv heads, heads of a group, head size), as views."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = k[:, :, :, 0], v[:, :, :, 0]
        heads_first = (t.transpose(1, 2) for t in (q, k, v))
        y, lse, *_ = torch.ops.aten._scaled_dot_product_cudnn_attention(*heads_first, None, True, 0.0, True)
        out: Tensor = y.transpose(1, 2)
        ctx.save_for_backward(q, k, v, out, lse.squeeze(-1))
        return out

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        q, k, v, y, lse = ctx.saved_tensors
        kv_heads = k.size(2)
        group = q.size(2) // kv_heads
        same = torch.are_deterministic_algorithms_enabled()
        dq = torch.empty_like(q)
        dk, dv = (t.new_empty(*t.shape[:3], group, t.size(3)) for t in (k, v))
        for i in range(group):
            q_i, y_i, dy_i, dq_i = (t.unflatten(2, (kv_heads, group))[:, :, :, i] for t in (q, y, dy, dq))
            grads = {"dq": dq_i, "dk": dk[:, :, :, i], "dv": dv[:, :, :, i]}
            flash_attn_backward(q_i, k, v, y_i, dy_i, lse[:, i::group], causal=True, deterministic=same, **grads)
        return dq, dk, dv


def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """As the packages' own of this name, and always causal; k and v may also be given as above."""
    assert causal
    if k.dim() == 4:
        group = q.size(2) // k.size(2)
        k, v = (t.unsqueeze(3).expand(-1, -1, -1, group, -1) for t in (k, v))
    y: Tensor = _Hybrid.apply(q, k, v)
    return y
