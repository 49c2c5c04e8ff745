"""`golf.kernels.gptq` in one kernel: rows are independent, so each program processes some through all columns."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import power_of_2
from golf.kernels.rounding import largest_code

ROWS, WARPS = 16, 4  # of a program
NAN = tl.constexpr(tl.PropagateNan.ALL)
MAGIC = tl.constexpr(1.5 * 2**23)  # added and taken off again, it rounds half to even, as torch.round does


@triton.jit
def _gptq_block(
    WEIGHT, SCALE, FACTOR, CODES, ERRORS, rows, cols, limit, stride, factor_stride,
    ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (col < cols)[None, :]
    w = tl.load(WEIGHT + row[:, None] * stride + col[None, :], mask=mask, other=0.0)
    scale = tl.load(SCALE + row, mask=row < rows, other=0.0)
    step = tl.where(scale > 0, scale, float("inf"))
    codes = tl.zeros((ROWS, COLS), tl.float32)
    errors = tl.zeros((ROWS, COLS), tl.float32)
    for j in tl.range(0, cols):
        here = (col == j)[None, :]
        column = tl.sum(tl.where(here, w, 0.0), axis=1)
        code = (tl.div_rn(column, step) + MAGIC) - MAGIC
        code = tl.minimum(tl.maximum(code, -limit, NAN), limit, NAN)  # as torch.clamp
        passed = tl.load(FACTOR + j * factor_stride + col, mask=(col >= j) & (col < cols), other=0.0)
        error = tl.div_rn(column - code * scale, tl.load(FACTOR + j * factor_stride + j))
        codes = tl.where(here, code[:, None], codes)
        errors = tl.where(here, error[:, None], errors)
        w -= error[:, None] * passed[None, :]
    at = row[:, None] * cols + col[None, :]
    tl.store(CODES + at, codes, mask=mask)
    tl.store(ERRORS + at, errors, mask=mask)


def gptq_block(weight: Tensor, scale: Tensor, factor: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """See golf.kernels.gptq; float32."""
    rows, cols = weight.shape
    weight, factor = (t if t.stride(1) == 1 else t.contiguous() for t in (weight, factor))
    codes, errors = torch.empty(2, rows, cols, device=weight.device)
    _gptq_block[(triton.cdiv(rows, ROWS),)](
        weight, scale, factor, codes, errors, rows, cols, float(largest_code(bits)), weight.stride(0), factor.stride(0),
        ROWS=ROWS, COLS=power_of_2(cols), num_warps=WARPS,
    )  # fmt: skip
    return codes, errors
