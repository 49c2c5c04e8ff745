"""The root-mean-square norm used everywhere: no weight, float32 machine epsilon (spec: Model 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = torch.finfo(torch.float32).eps  # for bfloat16 input too: bfloat16's own is so large that it shows at the start


def norm(x: Tensor) -> Tensor:
    """x / rms(x) over the last dimension; same shape and dtype as x."""
    # PyTorch 2.12 put rms_norm on autocast's float32 list and 2.11 had it not: outside autocast both compute the same.
    with torch.autocast(x.device.type, enabled=False):
        return F.rms_norm(x, (x.size(-1),), eps=EPS)
