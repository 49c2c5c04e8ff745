"""`golf.kernels.mlp`: the activation is fused with the matrix products.

The first product is stored as its activation and its signs, a bit each. Signs and the activation's square root give the
derivative, by which the backward product is multiplied before it is stored. This requires 16-bit numbers and large
products; otherwise the activation has one kernel each way.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from golf.kernels.launch import programs, weight_gradient
from golf.kernels.linear_triton import scale_rows, scale_rows_backward

BLOCK, WARPS = 4096, 8  # elements of a program
M, N, K = 128, 256, 64  # of a tile of the fused product
PRODUCT_WARPS, STAGES = 8, {False: 4, True: 3}  # backward reads one tile more
GROUP = 8  # consecutive tiles of M, which share their reads in the cache


@triton.jit
def _activation(x):
    y = tl.where(x > 0, x, 0.5 * x)
    return y * y


@triton.jit
def _derivative(x):
    return tl.where(x > 0, 2 * x, 0.5 * x)


@triton.jit
def _activation_forward(X, Y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(X + at, mask=at < n, other=0.0).to(tl.float32)
    tl.store(Y + at, _activation(x).to(Y.dtype.element_ty), mask=at < n)


@triton.jit
def _activation_backward(X, DY, DX, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(X + at, mask=at < n, other=0.0).to(tl.float32)
    dy = tl.load(DY + at, mask=at < n, other=0.0).to(tl.float32)
    tl.store(DX + at, (dy * _derivative(x)).to(DX.dtype.element_ty), mask=at < n)


@triton.jit
def _signs_at(SIGNS, m, n, cols, M: tl.constexpr, N: tl.constexpr):
    """Addresses of a tile's bits, 32 per number."""
    return SIGNS + (m + tl.arange(0, M))[:, None].to(tl.int64) * (cols // 32) + n // 32 + tl.arange(0, N // 32)[None, :]


@triton.jit
def _write(x, SIGNS, OUT, m, n, inside, cols, M: tl.constexpr, N: tl.constexpr):
    """A tile's activation and its signs. A number has the bits of every fourth pair of columns, which belong to one
    thread in the matrix units' layout."""
    OUT.store([m, n], _activation(x).to(OUT.dtype))
    own = tl.permute(tl.reshape((x > 0).to(tl.int32), (M, N // 8, 4, 2)), (0, 2, 1, 3))
    bits = tl.reshape(own, (M, N // 32, 32)) << tl.arange(0, 32)[None, None, :]
    tl.store(_signs_at(SIGNS, m, n, cols, M, N), tl.sum(bits, axis=2), mask=inside)


@triton.jit
def _write_backward(dy, SIGNS, POST, OUT, m, n, inside, cols, M: tl.constexpr, N: tl.constexpr):
    """A tile times the derivative, 2·√y for y = x², and −√y for y = (x/2)² below zero."""
    bits = tl.load(_signs_at(SIGNS, m, n, cols, M, N), mask=inside, other=0)
    root = tl.sqrt(POST.load([m, n]).to(tl.float32))
    own = tl.reshape((bits[:, :, None] >> tl.arange(0, 32)[None, None, :]) & 1, (M, 4, N // 8, 2))
    positive = tl.reshape(tl.permute(own, (0, 2, 1, 3)), (M, N)) == 1
    OUT.store([m, n], (dy * tl.where(positive, 2 * root, -root)).to(OUT.dtype))


@triton.jit
def _product(
    A, B, SIGNS, POST, OUT, rows, cols, inner,
    BACKWARD: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """A (rows, inner) times B, (cols, inner) forward and (inner, cols) backward. Forward OUT is the activation of the
    product; backward it is the product times the derivative from SIGNS and POST, the activation. Tiles are stored in
    halves of N, which takes less memory on the multiprocessor."""
    tiles_m, tiles_n = tl.cdiv(rows, M), tl.cdiv(cols, N)
    for tile in tl.range(tl.program_id(0), tiles_m * tiles_n, tl.num_programs(0), flatten=True):
        group = tile // (GROUP * tiles_n)
        height = min(tiles_m - group * GROUP, GROUP)
        m = (group * GROUP + tile % (GROUP * tiles_n) % height) * M
        n = (tile % (GROUP * tiles_n) // height) * N
        total = tl.zeros((M, N), tl.float32)
        for k in range(0, inner, K):
            a = A.load([m, k])
            b = B.load([k, n]) if BACKWARD else B.load([n, k]).T
            total = tl.dot(a, b, total)
        inside = (m + tl.arange(0, M))[:, None] < rows
        left, right = tl.split(tl.permute(tl.reshape(total, (M, 2, N // 2)), (0, 2, 1)))
        if BACKWARD:
            _write_backward(left, SIGNS, POST, OUT, m, n, inside, cols, M, N // 2)
            _write_backward(right, SIGNS, POST, OUT, m, n + N // 2, inside, cols, M, N // 2)
        else:
            _write(left, SIGNS, OUT, m, n, inside, cols, M, N // 2)
            _write(right, SIGNS, OUT, m, n + N // 2, inside, cols, M, N // 2)


def _fused_product(a: Tensor, b: Tensor, out: Tensor, signs: Tensor, post: Tensor | None = None) -> None:
    """Forward without `post`."""
    (rows, inner), cols = a.shape, out.size(1)
    backward, device = post is not None, a.device
    blocks = [(a, [M, K]), (b, [K, N] if backward else [N, K]), (post, [M, N // 2]), (out, [M, N // 2])]
    of_a, of_b, of_post, of_out = (None if t is None else TensorDescriptor.from_tensor(t, block) for t, block in blocks)
    grid = min(programs(device, 1), triton.cdiv(rows, M) * triton.cdiv(cols, N))
    _product[(grid,)](
        of_a, of_b, signs, of_post, of_out, rows, cols, inner, BACKWARD=backward, M=M, N=N, K=K, GROUP=GROUP,
        num_warps=PRODUCT_WARPS, num_stages=STAGES[backward],
    )  # fmt: skip


class Products(NamedTuple):
    """The two products of x (rows, width) and fc (hidden, width) that are fused with the activation."""

    take: Callable[[Tensor, Tensor], bool]  # whether they support x and fc
    forward: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # x, fc → the activation of their product, and its signs
    backward: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # dout, proj, activation and signs → x·fcᵀ's gradient


def _take(x: Tensor, fc: Tensor) -> bool:
    """Whether x and fc are supported. The tiles need Hopper's shared memory."""
    if x.is_cuda and torch.cuda.get_device_capability(x.device) < (9, 0):
        return False
    return x.dtype.itemsize == 2 and fc.size(0) % N == 0 and fc.size(1) % K == 0 and len(x) >= M


def _forward(x: Tensor, fc: Tensor) -> tuple[Tensor, Tensor]:
    post = x.new_empty(len(x), len(fc))
    signs = x.new_empty(len(x), len(fc) // 32, dtype=torch.int32)
    _fused_product(x, fc, post, signs)
    return post, signs


def _backward(dout: Tensor, proj: Tensor, post: Tensor, signs: Tensor) -> Tensor:
    dpre = torch.empty_like(post)
    _fused_product(dout, proj, dpre, signs, post)
    return dpre


TRITON = Products(_take, _forward, _backward)


def activation(x: Tensor) -> Tensor:
    """See golf.kernels.mlp; without gradients."""
    x, y = x.contiguous(), torch.empty_like(x)
    _activation_forward[(triton.cdiv(x.numel(), BLOCK),)](x, y, x.numel(), BLOCK=BLOCK, num_warps=WARPS)
    return y


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor, products: Products) -> Tensor:
        flat = x.flatten(0, -2)
        fc, scaled = fc.to(x.dtype), scale_rows(proj, scale, x.dtype)
        ctx.products = products if products.take(flat, fc) else None
        if ctx.products is not None:
            post, pre = products.forward(flat, fc)  # pre: of the product itself only the signs
        else:
            pre = F.linear(flat, fc)
            post = activation(pre)
        ctx.save_for_backward(flat, fc, scaled, proj, scale, pre, post)
        return F.linear(post, scaled).view(x.shape)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> Any:
        flat, fc, scaled, proj, scale, pre, post = ctx.saved_tensors
        shape, dout = dout.shape, dout.flatten(0, -2)
        if ctx.products is not None:
            dpre = ctx.products.backward(dout.contiguous(), scaled, post, pre)
        else:
            dpost, dpre = dout @ scaled, torch.empty_like(post)
            _activation_backward[(triton.cdiv(pre.numel(), BLOCK),)](
                pre, dpost, dpre, pre.numel(), BLOCK=BLOCK, num_warps=WARPS
            )
        dfc = dproj = dscale = None
        if ctx.needs_input_grad[1]:
            dfc = weight_gradient(dpre, flat)
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            dproj, dscale = scale_rows_backward(proj, scale, weight_gradient(dout, post))
        return (dpre @ fc).view(shape), dfc, dproj, dscale, None


def mlp(x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor, products: Products = TRITON) -> Tensor:
    """See golf.kernels.mlp; x is in the type to compute in."""
    y: Tensor = _MLP.apply(x, fc, proj, scale, products)
    return y
