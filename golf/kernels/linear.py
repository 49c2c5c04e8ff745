"""A matrix product whose outputs have a scale each (spec: Model 2: attn_scale, mlp_scale)."""

import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """scale · (x weightᵀ): x (…, inputs), weight (outputs, inputs), scale (outputs,) → (…, outputs)."""
    y = F.linear(x, weight)
    return scale.to(y.dtype) * y
