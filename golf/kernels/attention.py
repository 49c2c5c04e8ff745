"""Causal grouped-query attention: one interface to several implementations.

An implementation takes q (batch, length, heads, head size), k and v (batch, length, kv heads, head size), scales by
1/sqrt(head size) and returns the shape of q.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from golf.errors import UserError


@dataclass(frozen=True)
class Attend:
    """An implementation. `per_query_head`: it prefers k and v for each query head (see golf.kernels.heads)."""

    compute: Callable[[Tensor, Tensor, Tensor], Tensor]
    per_query_head: bool = False

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.compute(q, k, v)


# cuDNN's is PyTorch's fastest on Hopper; the others cover devices and types that it does not support.
SDPA_ORDER = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
INSTALL = {
    "fa3": "build hopper/ of github.com/Dao-AILab/flash-attention",
    "fa2": "pip install 'golf[flash]'",
    "fa4": "pip install 'golf[hopper]'",
    "hybrid": "pip install 'golf[hopper]'",
}
MODULES = {
    "fa3": "flash_attn_interface",
    "fa2": "flash_attn",
    "fa4": "flash_attn.cute",
    "hybrid": "golf.kernels.attention_hybrid",
}
# Fastest first; sdpa always works. At the record's shape on an H100, forward and backward, cuDNN's takes 2.37 ms, fa4
# 2.29 and fa2's 3.43: the others are taken only on request.
AUTO = ("hybrid", "fa3", "sdpa")


@Attend
def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's scaled_dot_product_attention."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    if q.is_cuda:
        with sdpa_kernel(SDPA_ORDER, set_priority=True):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    else:
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return y.transpose(1, 2)


def choose_attention(name: str, device: torch.device) -> str:
    """The implementation to use on a device: for `auto` the first of AUTO that works there."""
    if name != "auto":
        return name
    for candidate in AUTO:
        try:
            load_attention(candidate, device)
        except UserError:
            continue
        return candidate
    raise AssertionError("sdpa works everywhere")


def own_module(name: str) -> set[str]:
    """The golf module of the implementation `name`, if any. It is imported by name, invisible to source analysis."""
    return {module for module in (MODULES.get(name, ""),) if module.startswith("golf.")}


@cache
def load_attention(name: str, device: torch.device) -> Attend:
    """Load the implementation `name`. Raises UserError if it is not installed, or does not work on the device."""
    if name == "sdpa":
        return sdpa
    if device.type != "cuda":
        raise UserError(f"compute.attention={name} needs a GPU; use compute.attention=auto")
    try:
        flash = import_module(MODULES[name]).flash_attn_func
    except Exception as error:  # a library that does not fit the machine may raise anything
        raise UserError(
            f"compute.attention={name} is not installed ({error}): {INSTALL[name]}, or use compute.attention=auto"
        ) from error

    def compute(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        y = flash(q, k, v, causal=True)
        out: Tensor = y[0] if isinstance(y, tuple) else y
        return out

    attend = Attend(compute, per_query_head=name == "hybrid")
    try:
        q = torch.zeros(1, 128, 2, 64, device=device, dtype=torch.bfloat16, requires_grad=True)
        attend(q, q[:, :, :1], q[:, :, :1]).sum().backward()
    except Exception as error:
        raise UserError(
            f"compute.attention={name} does not work on this device ({error}); use compute.attention=auto"
        ) from error
    return attend
