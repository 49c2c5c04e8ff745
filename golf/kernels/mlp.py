"""The MLP's activation (spec: Model 4)."""

import torch.nn.functional as F
from torch import Tensor

from golf.kernels.linear import linear


def activation(x: Tensor) -> Tensor:
    """leaky_relu(x, 0.5)²."""
    return F.leaky_relu(x, 0.5).square()


def mlp(x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor) -> Tensor:
    """scale · (activation(x fcᵀ) projᵀ): x (…, width), fc (hidden, width), proj (width, hidden), scale (width,)."""
    return linear(activation(F.linear(x, fc)), proj, scale)
