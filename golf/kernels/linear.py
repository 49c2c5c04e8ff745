"""A matrix product with a scale for each output (spec: Model 2: attn_scale, mlp_scale)."""

import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
    """scale · (x weightᵀ): x (…, inputs), weight (outputs, inputs), scale (outputs,) → (…, outputs)."""
    y = F.linear(x, weight)
    return y if scale is None else scale.to(y.dtype) * y
