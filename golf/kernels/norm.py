"""The root-mean-square norm used everywhere: no weight, float32 machine epsilon (spec: Model 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = torch.finfo(torch.float32).eps  # for bfloat16 input too: its own would matter at the start


def norm(x: Tensor) -> Tensor:
    """x / rms(x) over the last dimension; same shape and dtype as x."""
    # PyTorch 2.12 has rms_norm on autocast's float32 list, 2.11 does not: outside autocast both compute the same.
    with torch.autocast(x.device.type, enabled=False):
        return F.rms_norm(x, (x.size(-1),), eps=EPS)
