"""`golf.kernels.cross_entropy`: forward reads each row of logits once and overwrites it with its gradient."""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import compute_dtype, power_of_2, weight_gradient

WARPS = 8  # of a program, which handles a row
LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)


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
    """Exponentials are powers of two, and 1 / x is the square of 1 / √x: each is one instruction, and of those, not of
    memory, there would be too many."""
    row = tl.program_id(0).to(tl.int64)
    word = tl.arange(0, COLS)
    at = LOGITS + row * VOCABULARY + word
    x = tl.load(at, mask=word < VOCABULARY, other=0.0).to(tl.float32)
    root = tl.rsqrt(1 + tl.exp2(tl.abs(x) * (-2 * LOG2_E / cap)))  # an exponential that cannot overflow
    tanh = 2 * root * root - 1
    tanh = tl.where(x < 0, -tanh, tanh)
    capped = (cap * LOG2_E) * tanh
    if VOCABULARY < COLS:
        capped = tl.where(word < VOCABULARY, capped, -float("inf"))
    # If exp(−2·cap) does not underflow, the cap serves as the maximum, and no pass has to find it.
    largest = tl.max(capped) if FIND_LARGEST else cap * LOG2_E
    p = tl.exp2(capped - largest)
    total = tl.sum(p)
    is_target = word == tl.load(TARGETS + row).to(tl.int32)
    tl.store(NATS + row, (largest + tl.log2(total) - tl.sum(tl.where(is_target, capped, 0.0))) / LOG2_E)
    if GRADIENT:
        d = (p * (1 / total) - tl.where(is_target, 1.0, 0.0)) * (share - share * tanh * tanh)
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
    loss: Tensor = _CrossEntropy.apply(hidden, embedding, targets, cap)
    return loss
