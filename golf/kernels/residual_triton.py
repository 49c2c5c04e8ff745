"""`golf.kernels.residual` in one kernel each way.

Backward recomputes the stream from forward's inputs, so nothing is saved for it; all terms have the same gradient. Each
program sums the gradients of the vectors over its rows; these partial sums are added afterwards.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from golf.kernels.launch import compute_dtype, power_of_2, programs
from golf.kernels.norm import EPS
from golf.kernels.residual import Residual, Skip

FORWARD = {"ROWS": 2, "num_warps": 4}  # of a program at a time
BACKWARD = {"ROWS": 1, "num_warps": 1}
PROGRAMS = 32  # on a multiprocessor, backward


@triton.jit
def _load(pointer, at, mask):
    return tl.load(pointer + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _stream(
    t0, t1, t2, state, w, g, x0, mix0, mix1, at, mask, TERMS: tl.constexpr, SKIP: tl.constexpr, MIX: tl.constexpr
):
    """The sum of the terms, the stream after the skip and after the mix; and state, first state and gate as loaded.
    Without a state or a first state these are the sum."""
    total = _load(t0, at, mask)
    if TERMS > 1:
        total += _load(t1, at, mask)
    if TERMS > 2:
        total += _load(t2, at, mask)
    s = total
    gate = total
    z = total
    if SKIP > 0:
        if state is not None:
            s = _load(state, at, mask)
        z = total + w * s
    if SKIP > 1:
        gate = tl.sigmoid(g)
        z = w * s + gate * (total - w * s)
    first = total
    x = z
    if MIX:
        if x0 is not None:
            first = _load(x0, at, mask)
        x = mix0 * z + mix1 * first
    return total, z, x, s, first, gate


@triton.jit
def _vectors(W, G, MIX0, col, valid, WIDTH: tl.constexpr, SKIP: tl.constexpr, MIX: tl.constexpr):
    w, g, mix0, mix1 = 0.0, 0.0, 0.0, 0.0
    if SKIP > 0:
        w = _load(W, col, valid)[None, :]
    if SKIP > 1:
        g = _load(G, col, valid)[None, :]
    if MIX:
        mix0 = _load(MIX0, col, valid)[None, :]
        mix1 = _load(MIX0, WIDTH + col, valid)[None, :]
    return w, g, mix0, mix1


@triton.jit
def _residual_forward(
    T0, T1, T2, STATE, W, G, X0, MIX0, TOTAL, X, NORMED, rows, scale, eps,
    WIDTH: tl.constexpr, COLS: tl.constexpr, ROWS: tl.constexpr,
    TERMS: tl.constexpr, SKIP: tl.constexpr, MIX: tl.constexpr, ):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    col = tl.arange(0, COLS)
    mask = (row < rows)[:, None] & (col < WIDTH)[None, :]
    at = row[:, None] * WIDTH + col[None, :]
    w, g, mix0, mix1 = _vectors(W, G, MIX0, col, col < WIDTH, WIDTH, SKIP, MIX)
    total, _, x, _, _, _ = _stream(T0, T1, T2, STATE, w, g, X0, mix0, mix1, at, mask, TERMS, SKIP, MIX)
    if TOTAL is not None:
        tl.store(TOTAL + at, total.to(TOTAL.dtype.element_ty), mask=mask)
    if X is not None:
        tl.store(X + at, x.to(X.dtype.element_ty), mask=mask)
    rms = tl.rsqrt(tl.sum(x * x, axis=1) / WIDTH + eps)
    tl.store(NORMED + at, (x * (rms * scale)[:, None]).to(NORMED.dtype.element_ty), mask=mask)


@triton.jit
def _residual_backward(
    T0, T1, T2, STATE, W, G, X0, MIX0, DTOTAL, DX, DNORMED, DAGAIN, DX0, DTERMS, DSTATE, DX0_OUT, PARTIAL,
    rows, scale, eps, WIDTH: tl.constexpr, COLS: tl.constexpr, ROWS: tl.constexpr,
    TERMS: tl.constexpr, SKIP: tl.constexpr, MIX: tl.constexpr,
):  # fmt: skip
    col = tl.arange(0, COLS)
    w, g, mix0, mix1 = _vectors(W, G, MIX0, col, col < WIDTH, WIDTH, SKIP, MIX)
    # Kept by row and summed at the end, so that no thread waits for another in the loop.
    dw = tl.zeros((ROWS, COLS), tl.float32)
    dg = tl.zeros((ROWS, COLS), tl.float32)
    dmix0 = tl.zeros((ROWS, COLS), tl.float32)
    dmix1 = tl.zeros((ROWS, COLS), tl.float32)
    for tile in tl.range(tl.program_id(0), tl.cdiv(rows, ROWS), tl.num_programs(0)):
        row = (tile * ROWS + tl.arange(0, ROWS)).to(tl.int64)
        mask = (row < rows)[:, None] & (col < WIDTH)[None, :]
        at = row[:, None] * WIDTH + col[None, :]
        total, z, x, s, first, gate = _stream(T0, T1, T2, STATE, w, g, X0, mix0, mix1, at, mask, TERMS, SKIP, MIX)
        d = tl.zeros((ROWS, COLS), tl.float32)
        if DX is not None:
            d += _load(DX, at, mask)
        if DNORMED is not None:
            rms = tl.rsqrt(tl.sum(x * x, axis=1) / WIDTH + eps)[:, None]
            dn = _load(DNORMED, at, mask)
            if DAGAIN is not None:
                dn += _load(DAGAIN, at, mask)
            dn *= scale
            unit = x * rms
            d += rms * (dn - unit * (tl.sum(dn * unit, axis=1) / WIDTH)[:, None])
        dtotal = tl.zeros((ROWS, COLS), tl.float32)
        if MIX:
            dmix0 += d * z
            dmix1 += d * first
            dfirst = mix1 * d
            if DX0 is not None:
                dfirst += _load(DX0, at, mask)
            if DX0_OUT is not None:
                tl.store(DX0_OUT + at, dfirst.to(DX0_OUT.dtype.element_ty), mask=mask)
            else:
                dtotal += dfirst
            d = mix0 * d
        if SKIP > 0:
            dlerp = d
            if SKIP > 1:
                dg += d * (total - w * s)
                dlerp = (1 - gate) * d
                d = gate * d
            dw += dlerp * s
            if DSTATE is not None:
                tl.store(DSTATE + at, (w * dlerp).to(DSTATE.dtype.element_ty), mask=mask)
            else:
                dtotal += w * dlerp
        dtotal += d
        if DTOTAL is not None:
            dtotal += _load(DTOTAL, at, mask)
        tl.store(DTERMS + at, dtotal.to(DTERMS.dtype.element_ty), mask=mask)
    out = PARTIAL + tl.program_id(0) * (2 * MIX + SKIP) * COLS + col
    if MIX:
        tl.store(out, tl.sum(dmix0, axis=0))
        tl.store(out + COLS, tl.sum(dmix1, axis=0))
        out += 2 * COLS
    if SKIP > 0:
        tl.store(out, tl.sum(dw, axis=0))
    if SKIP > 1:
        gate = tl.sigmoid(_load(G, col, col < WIDTH))
        tl.store(out + COLS, tl.sum(dg, axis=0) * gate * (1 - gate))


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        scale: float,
        want_total: bool,
        mix: Tensor,
        x0: Tensor | None,
        state: Tensor | None,
        w: Tensor,
        g: Tensor,
        *terms: Tensor,
    ) -> Any:
        assert x0 is not None or mix is None or len(terms) == 1, "the first state is one tensor"
        first = terms[0]
        rows, width = first.numel() // first.size(-1), first.size(-1)
        terms = tuple(term.contiguous() for term in terms)
        total = torch.empty_like(first) if want_total else None
        alone = len(terms) == 1 and mix is None and w is None  # then x is the term itself
        x = None if alone else torch.empty_like(first)
        normed = torch.empty_like(first, dtype=compute_dtype(first))
        flags = {"TERMS": len(terms), "SKIP": (w is not None) + (g is not None), "MIX": int(mix is not None)}
        sizes = {"WIDTH": width, "COLS": power_of_2(width)}
        _residual_forward[(triton.cdiv(rows, FORWARD["ROWS"]),)](
            *_three(terms), state, w, g, x0, mix, total, x, normed, rows, scale, EPS,
            **flags, **sizes, **FORWARD,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        # The stored sum replaces its terms; without a skip or a mix x is the sum.
        kept = terms if len(terms) == 1 else (total,) if total is not None else terms
        if mix is None and w is None and x is not None:
            kept = (x,)
        ctx.save_for_backward(mix, x0, state, w, g, *kept)
        ctx.scale, ctx.flags, ctx.sizes, ctx.terms = scale, {**flags, "TERMS": len(kept)}, sizes, len(terms)
        if mix is not None and x0 is None:
            x0 = terms[0]
        return total, terms[0] if alone else x, normed, normed.view_as(normed), x0

    @staticmethod
    def backward(ctx: Any, dtotal: Tensor, dx: Tensor, dnormed: Tensor, dagain: Tensor, dx0: Tensor) -> Any:
        mix, x0, state, w, g, *kept = ctx.saved_tensors
        first = kept[0]
        rows, width = first.numel() // first.size(-1), first.size(-1)
        dterms = torch.empty_like(first)
        dstate = None if state is None else torch.empty_like(state)
        dfirst = None if x0 is None or mix is None else torch.empty_like(x0)
        grid = min(programs(first.device, PROGRAMS), triton.cdiv(rows, BACKWARD["ROWS"]))
        vectors = 2 * ctx.flags["MIX"] + ctx.flags["SKIP"]
        partial = first.new_empty(grid, vectors, ctx.sizes["COLS"], dtype=torch.float32)
        given = (None if d is None else d.contiguous() for d in (dtotal, dx, dnormed, dagain, dx0))
        dtotal, dx, dnormed, dagain, dx0 = given
        _residual_backward[(grid,)](
            *_three(kept), state, w, g, x0, mix, dtotal, dx, dnormed, dagain, dx0, dterms, dstate, dfirst, partial,
            rows, ctx.scale, EPS, **ctx.flags, **ctx.sizes, **BACKWARD,
        )  # fmt: skip
        # As a product: sum(0) would take twice as long.
        sums = list((partial.new_ones(1, grid) @ partial.flatten(1)).view(vectors, -1)[:, :width]) if vectors else []
        dmix = None if mix is None else torch.stack([sums.pop(0), sums.pop(0)]).to(mix.dtype)
        dw = None if w is None else sums.pop(0).to(w.dtype)
        dg = None if g is None else sums.pop(0).to(g.dtype)
        return None, None, dmix, dfirst, dstate, dw, dg, *[dterms] * ctx.terms


def _three(terms: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Pointers to three terms; the kernel reads as many as there are."""
    return (*terms, *[terms[0]] * 2)[:3]


def residual(
    terms: Sequence[Tensor],
    scale: float,
    mix: Tensor | None = None,
    x0: Tensor | None = None,
    skip: Skip | None = None,
    want_total: bool = False,
) -> Residual:
    """See golf.kernels.residual; `normed` has the dtype of matrix products."""
    state, w, g = skip if skip is not None else (None, None, None)
    return Residual(*_Residual.apply(scale, want_total, mix, x0, state, w, g, *terms))
