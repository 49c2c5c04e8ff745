"""`golf.kernels.xsa` in one kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import power_of_2

ROWS, WARPS = 8, 2  # of one group of heads in a program
SMALLEST = 1e-12  # the least norm that F.normalize divides by


@triton.jit
def _xsa_forward(
    Y, V, OUT, rows, length, y_batch, y_time, y_head, v_batch, v_time, v_head, smallest,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, SIZE: tl.constexpr, COLS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    kv = tl.program_id(0) % KV_HEADS
    row = (tl.program_id(0) // KV_HEADS).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (d < SIZE)[None, :]
    batch, time = row // length, row % length
    v = tl.load(V + (batch * v_batch + time * v_time)[:, None] + kv * v_head + d[None, :], mask=mask, other=0.0)
    v = v.to(tl.float32)
    u = v / tl.maximum(tl.sqrt(tl.sum(v * v, axis=1)), smallest)[:, None]
    heads = KV_HEADS * GROUP
    for i in tl.static_range(GROUP):
        head = kv * GROUP + i
        of_y = (batch * y_batch + time * y_time)[:, None] + head * y_head + d[None, :]
        y = tl.load(Y + of_y, mask=mask, other=0.0).to(tl.float32)
        out = y - tl.sum(y * u, axis=1)[:, None] * u
        at = (row * heads + head)[:, None] * SIZE + d[None, :]
        tl.store(OUT + at, out.to(OUT.dtype.element_ty), mask=mask)


@triton.jit
def _xsa_backward(
    Y, V, DOUT, DY, DV, rows, length, y_batch, y_time, y_head, v_batch, v_time, v_head, d_batch, d_time, d_head,
    smallest, KV_HEADS: tl.constexpr, GROUP: tl.constexpr, SIZE: tl.constexpr, COLS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    kv = tl.program_id(0) % KV_HEADS
    row = (tl.program_id(0) // KV_HEADS).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (d < SIZE)[None, :]
    batch, time = row // length, row % length
    v = tl.load(V + (batch * v_batch + time * v_time)[:, None] + kv * v_head + d[None, :], mask=mask, other=0.0)
    v = v.to(tl.float32)
    size = tl.maximum(tl.sqrt(tl.sum(v * v, axis=1)), smallest)[:, None]
    u = v / size
    du = tl.zeros((ROWS, COLS), tl.float32)
    heads = KV_HEADS * GROUP
    for i in tl.static_range(GROUP):
        head = kv * GROUP + i
        y = tl.load(Y + (batch * y_batch + time * y_time)[:, None] + head * y_head + d[None, :], mask=mask, other=0.0)
        g = tl.load(
            DOUT + (batch * d_batch + time * d_time)[:, None] + head * d_head + d[None, :], mask=mask, other=0.0
        )
        y, g = y.to(tl.float32), g.to(tl.float32)
        along = tl.sum(g * u, axis=1)[:, None]
        du -= along * y + tl.sum(y * u, axis=1)[:, None] * g
        at = (row * heads + head)[:, None] * SIZE + d[None, :]
        tl.store(DY + at, (g - along * u).to(DY.dtype.element_ty), mask=mask)
    dv = (du - tl.sum(du * u, axis=1)[:, None] * u) / size
    at = (row * KV_HEADS + kv)[:, None] * SIZE + d[None, :]
    tl.store(DV + at, dv.to(DV.dtype.element_ty), mask=mask)


class _ExcludeSelf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, v: Tensor) -> Tensor:
        y, v = (t if t.stride(-1) == 1 else t.contiguous() for t in (y, v))
        batch, length, n_heads, size = y.shape
        out = y.new_empty(y.shape)
        sizes = {
            "KV_HEADS": v.size(2),
            "GROUP": n_heads // v.size(2),
            "SIZE": size,
            "COLS": power_of_2(size),
            "ROWS": ROWS,
        }
        rows = batch * length
        _xsa_forward[(v.size(2) * triton.cdiv(rows, ROWS),)](
            y, v, out, rows, length, *y.stride()[:3], *v.stride()[:3], SMALLEST, **sizes, num_warps=WARPS
        )
        ctx.save_for_backward(y, v)
        ctx.sizes = sizes
        return out

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor]:
        y, v = ctx.saved_tensors
        dout = dout if dout.stride(-1) == 1 else dout.contiguous()
        dy, dv = y.new_empty(y.shape), v.new_empty(v.shape)
        rows = y.size(0) * y.size(1)
        _xsa_backward[(v.size(2) * triton.cdiv(rows, ROWS),)](
            y, v, dout, dy, dv, rows, y.size(1), *y.stride()[:3], *v.stride()[:3], *dout.stride()[:3], SMALLEST,
            **ctx.sizes, num_warps=WARPS,
        )  # fmt: skip
        return dy, dv


def exclude_self(y: Tensor, v: Tensor) -> Tensor:
    """See golf.kernels.xsa."""
    out: Tensor = _ExcludeSelf.apply(y, v)
    return out
