"""`golf.kernels.heads`: one product for q, k and v, then one kernel each way for norm, rotary and gain.

Queries and keys are written side by side; values stay in the product. Backward takes the gradients of q, of every use
of k and v, and writes those of the product side by side.
"""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import power_of_2, weight_gradient
from golf.kernels.norm import EPS

FORWARD = {"ROWS": 8, "num_warps": 1}  # of one head in a program
BACKWARD = {"ROWS": 8, "num_warps": 1}


@triton.jit
def _rotate(x, partner, cos, sin, first):
    """Half-split form: (a·cos + b·sin, b·cos − a·sin); outside the rotary dimensions sin is 0 and cos 1."""
    return x * cos + tl.where(first, partner, -partner) * sin


@triton.jit
def _tables(COS, SIN, time, d, row_mask, HALF: tl.constexpr):
    at = time[:, None] * HALF + (d % HALF)[None, :]
    mask = row_mask[:, None] & (d < 2 * HALF)[None, :]
    return tl.load(COS + at, mask=mask, other=1.0), tl.load(SIN + at, mask=mask, other=0.0)


@triton.jit
def _heads_forward(
    QKV, COS, SIN, GAIN, QK, rows, length, eps, stride,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, SIZE: tl.constexpr, COLS: tl.constexpr, HALF: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0) // (HEADS + KV_HEADS)
    head = tl.program_id(0) % (HEADS + KV_HEADS)  # next to each other, so that rows are read whole
    row = tile.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (d < SIZE)[None, :]
    first = (d < HALF)[None, :]
    partner = tl.where(d < HALF, d + HALF, d - HALF)[None, :]
    source = QKV + row[:, None] * stride + head * SIZE
    x = tl.load(source + d[None, :], mask=mask, other=0.0).to(tl.float32)
    y = tl.load(source + partner, mask=mask & (d < 2 * HALF)[None, :], other=0.0).to(tl.float32)
    cos, sin = _tables(COS, SIN, row % length, d, row < rows, HALF)
    rms = tl.rsqrt(tl.sum(x * x, axis=1) / SIZE + eps)[:, None]
    out = _rotate(x * rms, y * rms, cos, sin, first)
    if head < HEADS:
        out *= tl.load(GAIN + head).to(tl.float32)
    at = row[:, None] * ((HEADS + KV_HEADS) * SIZE) + head * SIZE + d[None, :]
    tl.store(QK + at, out.to(QK.dtype.element_ty), mask=mask)


@triton.jit
def _sum(D, at, use, mask, USES: tl.constexpr):
    """The sum of the gradients of all uses, `use` elements apart."""
    total = tl.load(D + at, mask=mask, other=0.0).to(tl.float32)
    for i in tl.static_range(1, USES):
        total += tl.load(D + at + i * use, mask=mask, other=0.0).to(tl.float32)
    return total


@triton.jit
def _heads_backward(
    QKV, COS, SIN, GAIN, DQ, DK, DV, DV2, DQKV, DGAIN, rows, length, eps, stride,
    q_batch, q_time, q_head, q_use, k_batch, k_time, k_head, k_use, v_batch, v_time, v_head, v_use,
    u_batch, u_time, u_head, u_use, USES: tl.constexpr,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, SIZE: tl.constexpr, COLS: tl.constexpr, HALF: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0) // (HEADS + 2 * KV_HEADS)
    head = tl.program_id(0) % (HEADS + 2 * KV_HEADS)
    row = tile.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (d < SIZE)[None, :]
    batch, time = row // length, row % length
    at = row[:, None] * stride + head * SIZE + d[None, :]
    if head >= HEADS + KV_HEADS:
        kv = head - HEADS - KV_HEADS
        total = tl.zeros((ROWS, COLS), tl.float32)
        if DV is not None:
            of_v = (batch * v_batch + time * v_time)[:, None] + kv * v_head + d[None, :]
            total += _sum(DV, of_v, v_use, mask, USES)
        if DV2 is not None:
            of_u = (batch * u_batch + time * u_time)[:, None] + kv * u_head + d[None, :]
            total += tl.load(DV2 + of_u, mask=mask, other=0.0).to(tl.float32)
        tl.store(DQKV + at, total.to(DQKV.dtype.element_ty), mask=mask)
    else:
        first = (d < HALF)[None, :]
        partner = tl.where(d < HALF, d + HALF, d - HALF)[None, :]
        rotary = mask & (d < 2 * HALF)[None, :]
        if head < HEADS:
            of_q = (batch * q_batch + time * q_time)[:, None] + head * q_head
            dout = tl.load(DQ + of_q + d[None, :], mask=mask, other=0.0).to(tl.float32)
            dpartner = tl.load(DQ + of_q + partner, mask=rotary, other=0.0).to(tl.float32)
        else:
            of_k = (batch * k_batch + time * k_time)[:, None] + (head - HEADS) * k_head
            dout = _sum(DK, of_k + d[None, :], k_use, mask, USES)
            dpartner = _sum(DK, of_k + partner, k_use, rotary, USES)
        cos, sin = _tables(COS, SIN, time, d, row < rows, HALF)
        dn = _rotate(dout, dpartner, cos, -sin, first)
        x = tl.load(QKV + at, mask=mask, other=0.0).to(tl.float32)
        rms = tl.rsqrt(tl.sum(x * x, axis=1) / SIZE + eps)[:, None]
        unit = x * rms
        if head < HEADS:
            # Rotation preserves inner products, so the gain's gradient can be taken before it.
            tl.store(DGAIN + tile * HEADS + head, tl.sum(dn * unit))
            dn *= tl.load(GAIN + head).to(tl.float32)
        dx = rms * (dn - unit * (tl.sum(dn * unit, axis=1) / SIZE)[:, None])
        tl.store(DQKV + at, dx.to(DQKV.dtype.element_ty), mask=mask)


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        gain: Tensor,
        cos: Tensor,
        sin: Tensor,
        per_query_head: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        weight = torch.cat([q, k, v]).to(x.dtype)
        qkv = F.linear(x, weight)
        n_heads = gain.numel()
        size = q.size(0) // n_heads
        kv_heads = k.size(0) // size
        length = x.size(1)
        rows = x.numel() // x.size(-1)
        of_qk = (n_heads + kv_heads) * size
        qk = x.new_empty(*x.shape[:-1], of_qk)
        sizes = {"HEADS": n_heads, "KV_HEADS": kv_heads, "SIZE": size, "COLS": power_of_2(size)}
        sizes |= {"HALF": cos.size(-1)}
        grid = ((n_heads + kv_heads) * triton.cdiv(rows, FORWARD["ROWS"]),)
        _heads_forward[grid](qkv, cos, sin, gain, qk, rows, length, EPS, qkv.size(-1), **sizes, **FORWARD)
        ctx.save_for_backward(x, weight, qkv, gain, cos, sin)
        ctx.sizes = sizes
        ctx.set_materialize_grads(False)
        queries, keys = qk.unflatten(-1, (-1, size)).split([n_heads, kv_heads], dim=2)
        values = own = qkv[..., of_qk:].unflatten(-1, (kv_heads, size))
        if per_query_head:
            keys, values = (t.unsqueeze(3).expand(-1, -1, -1, n_heads // kv_heads, -1) for t in (keys, values))
        return queries, keys, values, own.view_as(own)

    @staticmethod
    def backward(ctx: Any, dq: Tensor, dk: Tensor, dv: Tensor | None, dv2: Tensor | None) -> Any:
        x, weight, qkv, gain, cos, sin = ctx.saved_tensors
        rows, length = x.numel() // x.size(-1), x.size(1)
        sizes = ctx.sizes
        n_heads, kv_heads, size = sizes["HEADS"], sizes["KV_HEADS"], sizes["SIZE"]
        dqkv = torch.empty_like(qkv)
        tiles = triton.cdiv(rows, BACKWARD["ROWS"])
        dgain = x.new_empty(tiles, n_heads, dtype=torch.float32)
        grads = [None if d is None else d if d.stride(-1) == 1 else d.contiguous() for d in (dq, dk, dv, dv2)]
        strides = [stride for d in grads for stride in ((0, 0, 0, 0) if d is None else d.stride()[:4])]
        _heads_backward[((n_heads + 2 * kv_heads) * tiles,)](
            qkv, cos, sin, gain, *grads, dqkv, dgain, rows, length, EPS, qkv.size(-1), *strides,
            USES=dk.size(3) if dk.dim() == 5 else 1, **sizes, **BACKWARD,
        )  # fmt: skip
        flat = dqkv.flatten(0, -2)
        parts = [n_heads * size, kv_heads * size, kv_heads * size]
        dweights: tuple[Tensor | None, ...] = (None,) * 3
        if any(ctx.needs_input_grad[1:4]):
            dweights = weight_gradient(flat, x.flatten(0, -2)).split(parts)
        dgain = (dgain.new_ones(1, tiles) @ dgain)[0]  # as a product: sum(0) would take several times as long
        return (flat @ weight).view_as(x), *dweights, dgain.to(gain.dtype), None, None, None


def heads(
    x: Tensor, q: Tensor, k: Tensor, v: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, per_query_head: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See golf.kernels.heads; x is in the type to compute in."""
    out: tuple[Tensor, Tensor, Tensor, Tensor] = _Heads.apply(x, q, k, v, gain, cos, sin, per_query_head)
    return out
