"""XSA: attention excludes the contribution of a position's own value (spec: Model 3)."""

import torch.nn.functional as F
from torch import Tensor


def exclude_self(y: Tensor, v: Tensor) -> Tensor:
    """Subtract from each head's output its projection on the unit vector of the position's own value.

    y is (batch, length, heads, head size); v (batch, length, kv heads, head size), one for a group of heads.
    """
    grouped = y.unflatten(2, (v.size(2), -1))
    direction = F.normalize(v, dim=-1).unsqueeze(3)
    others: Tensor = grouped - (grouped * direction).sum(-1, keepdim=True) * direction
    return others.flatten(2, 3)
