"""Shared by the Triton kernels: types, sizes, and the matrix product of a weight's gradient."""

import torch
import triton
from torch import Tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype of matrix products: autocast's if it is enabled."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def power_of_2(size: int) -> int:
    """The smallest power of 2 that is at least `size`, as Triton's blocks require."""
    return int(triton.next_power_of_2(size))


def weight_gradient(dy: Tensor, x: Tensor) -> Tensor:
    """dyᵀx, float32 (outputs, inputs), of a product whose inputs x and gradients dy have the same rows."""
    if dy.is_cuda and dy.dtype != torch.float32:
        return torch.mm(dy.T, x, out_dtype=torch.float32)
    return dy.T @ x


def programs(device: torch.device, each: int) -> int:
    """The number of programs that fill the device, with `each` per multiprocessor."""
    return each * (torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1)
