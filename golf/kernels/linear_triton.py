"""`golf.kernels.linear`: scales the weight, not the activations, which are a hundred times as many."""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import power_of_2, weight_gradient

WARPS = 4  # of a program, which handles a row of the weight


@triton.jit
def _scale_rows(WEIGHT, SCALE, OUT, COLS: tl.constexpr, BLOCK: tl.constexpr):
    row, col = tl.program_id(0), tl.arange(0, BLOCK)
    w = tl.load(WEIGHT + row * COLS + col, mask=col < COLS, other=0.0)
    tl.store(OUT + row * COLS + col, (tl.load(SCALE + row) * w).to(OUT.dtype.element_ty), mask=col < COLS)


@triton.jit
def _scale_rows_backward(WEIGHT, SCALE, DOUT, DWEIGHT, DSCALE, COLS: tl.constexpr, BLOCK: tl.constexpr):
    row, col = tl.program_id(0), tl.arange(0, BLOCK)
    w = tl.load(WEIGHT + row * COLS + col, mask=col < COLS, other=0.0)
    d = tl.load(DOUT + row * COLS + col, mask=col < COLS, other=0.0)
    tl.store(DWEIGHT + row * COLS + col, tl.load(SCALE + row) * d, mask=col < COLS)
    tl.store(DSCALE + row, tl.sum(w * d))


def scale_rows(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """weight (rows, columns) times scale (rows,), in `dtype`."""
    out = torch.empty_like(weight, dtype=dtype)
    cols = weight.size(1)
    _scale_rows[(len(weight),)](weight, scale, out, COLS=cols, BLOCK=power_of_2(cols), num_warps=WARPS)
    return out


def scale_rows_backward(weight: Tensor, scale: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of weight and scale, from that of their product; all float32."""
    dweight, dscale = torch.empty_like(weight), torch.empty_like(scale)
    cols = weight.size(1)
    _scale_rows_backward[(len(weight),)](
        weight, scale, dout, dweight, dscale, COLS=cols, BLOCK=power_of_2(cols), num_warps=WARPS
    )
    return dweight, dscale


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, scale: Tensor | None) -> Tensor:
        used = weight.to(x.dtype) if scale is None else scale_rows(weight, scale, x.dtype)
        ctx.save_for_backward(x, weight, scale, used)
        return F.linear(x, used)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, weight, scale, used = ctx.saved_tensors
        dx = dweight = dscale = None
        if ctx.needs_input_grad[0]:
            dx = dy @ used
        if any(ctx.needs_input_grad[1:]):
            dweight = weight_gradient(dy.flatten(0, -2), x.flatten(0, -2))
            if scale is not None:
                dweight, dscale = scale_rows_backward(weight, scale, dweight)
        return dx, dweight, dscale


def linear(x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
    """See golf.kernels.linear; x is in the type to compute in, weight and scale in float32."""
    y: Tensor = _Linear.apply(x, weight, scale)
    return y
