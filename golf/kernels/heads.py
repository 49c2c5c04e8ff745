"""From a branch's input to queries, keys and values: q/k norm, partial rotary, per-head q gain (spec: Model 3)."""

import torch.nn.functional as F
from torch import Tensor

from golf.kernels.norm import norm
from golf.kernels.rotary import apply_rotary


def heads(
    x: Tensor, q: Tensor, k: Tensor, v: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, per_query_head: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x (batch, length, width) and weights (outputs, width) → q (batch, length, heads, head size), k and v (batch,
    length, kv heads, head size), and v again for its second use, so that a kernel can sum both gradients.

    gain: (heads,); cos, sin: (length, rotary dimensions / 2). per_query_head: return k and v for each query head, from
    a kernel as views (batch, length, kv heads, heads of a group, head size).
    """
    size = (-1, q.size(0) // gain.size(0))
    queries = apply_rotary(norm(F.linear(x, q).unflatten(-1, size)), cos, sin)
    keys = apply_rotary(norm(F.linear(x, k).unflatten(-1, size)), cos, sin)
    values = F.linear(x, v).unflatten(-1, size)
    return queries * gain.to(queries.dtype)[:, None], keys, values, values
