"""`golf.kernels.linear`: the scale meets the weight, not the activations, which are a hundred times as many."""

import torch.nn.functional as F
from torch import Tensor


def linear(x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
    """See golf.kernels.linear; x is in the type to compute in."""
    return F.linear(x, (weight if scale is None else scale[:, None] * weight).to(x.dtype))
