"""`golf.kernels.cross_entropy`: forward reads each row of logits once and leaves its gradient in its place."""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import compute_dtype, power_of_2, weight_gradient

WARPS = 8  # of a program, which has a row


@triton.jit
def _cross_entropy(
    LOGITS,
    TARGETS,
    NATS,
    cap,
    share,
    VOCABULARY: tl.constexpr,
    COLS: tl.constexpr,
    GRADIENT: tl.constexpr,
    FIND_LARGEST: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    word = tl.arange(0, COLS)
    at = LOGITS + row * VOCABULARY + word
    z = tl.load(at, mask=word < VOCABULARY, other=-float("inf")).to(tl.float32) * (1 / cap)
    small = tl.exp(-2 * tl.abs(z))  # tanh by what cannot overflow
    tanh = tl.where(z < 0, small - 1, 1 - small) / (1 + small)
    capped = tl.where(word < VOCABULARY, cap * tanh, -float("inf"))
    # Where no exp(−2·cap) is too small, the cap does for the largest, which nobody then has to look for.
    largest = tl.max(capped) if FIND_LARGEST else cap
    p = tl.exp(capped - largest)
    total = tl.sum(p)
    is_target = word == tl.load(TARGETS + row)
    tl.store(NATS + row, largest + tl.log(total) - tl.sum(tl.where(is_target, capped, 0.0)))
    if GRADIENT:
        d = (p * (1 / total) - tl.where(is_target, 1.0, 0.0)) * ((1 - tanh * tanh) * share)
        tl.store(at, d.to(LOGITS.dtype.element_ty), mask=word < VOCABULARY)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float) -> Tensor:
        dtype = compute_dtype(hidden)
        flat, weight = hidden.flatten(0, -2).to(dtype), embedding.to(dtype)
        logits = F.linear(flat, weight)
        nats = flat.new_empty(len(flat), dtype=torch.float32)
        wanted = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        sizes = {"VOCABULARY": len(weight), "COLS": power_of_2(len(weight)), "num_warps": WARPS}
        _cross_entropy[(len(flat),)](
            logits, targets.flatten(), nats, cap, 1 / len(flat), GRADIENT=wanted, FIND_LARGEST=cap > 40, **sizes
        )
        ctx.save_for_backward(flat, weight, logits)
        ctx.shape, ctx.dtypes = hidden.shape, (hidden.dtype, embedding.dtype)
        return nats.mean()

    @staticmethod
    def backward(ctx: Any, dloss: Tensor) -> Any:
        flat, weight, dlogits = ctx.saved_tensors
        dhidden = dembedding = None
        if ctx.needs_input_grad[0]:
            dhidden = (dlogits @ (weight * dloss).to(weight.dtype)).view(ctx.shape).to(ctx.dtypes[0])
        if ctx.needs_input_grad[1]:
            dembedding = (weight_gradient(dlogits, flat) * dloss).to(ctx.dtypes[1])
        return dhidden, dembedding, None, None


def cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float) -> Tensor:
    """See golf.kernels.cross_entropy."""
    return _CrossEntropy.apply(hidden, embedding, targets, cap)
