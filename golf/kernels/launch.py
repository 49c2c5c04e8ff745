"""What the Triton kernels share: types, sizes, and the product that gives a weight its gradient."""

import torch
import triton
from torch import Tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type that matrix products compute in: autocast's where it is on."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def power_of_2(size: int) -> int:
    """The smallest power of 2 that is at least `size`: the sizes that Triton's blocks have."""
    return int(triton.next_power_of_2(size))


def weight_gradient(dy: Tensor, x: Tensor) -> Tensor:
    """dyᵀx, float32 (outputs, inputs), of a product whose inputs x and gradients dy have the same rows."""
    if dy.is_cuda and dy.dtype != torch.float32:
        return torch.mm(dy.T, x, out_dtype=torch.float32)
    return dy.T @ x


def programs(device: torch.device, each: int) -> int:
    """How many programs keep the device busy, with `each` at a time on a multiprocessor."""
    return each * (torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1)
