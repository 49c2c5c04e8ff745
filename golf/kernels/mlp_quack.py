"""`golf.kernels.mlp` with quack's matrix products for Hopper: one tile is written while the next is multiplied.

As in mlp_triton the first product is stored as its activation and its signs, a bit each. Both products have the same
tiles, so that the thread that writes signs is the one that reads them, wherever they are stored.
"""

import inspect

import cutlass
import cutlass.cute as cute
import torch
import triton
from cutlass import Float32, Int32, Uint32, const_expr
from quack.compile_utils import make_fake_tensor
from quack.epilogue.frontend import EpiMod, gemm_epilogue
from quack.epilogue.ops import EpiOp
from torch import Tensor

from golf.kernels import mlp_triton
from golf.kernels.mlp_triton import Products

# The fastest of those measured at the record's sizes: each of two warp groups has its own tile, and two neighbouring
# multiprocessors share the rows they read.
TILE = {"tile_M": 192, "tile_N": 128, "cluster_M": 1, "cluster_N": 2, "pingpong": True}
THREADS = 128  # of a warp group
WORDS = 8  # of 32 bits for a thread's 192 signs; they are moved four at a time


class _Signs(EpiOp):
    """An int32 tensor (tiles of rows, tiles of columns, WORDS / 4, 4 · THREADS)."""

    def config_key(self):
        """The sources of the operation: quack caches kernels on disk by the operation's name alone."""
        methods = [method for cls in (_Signs, type(self)) for method in vars(cls).values() if callable(method)]
        return tuple(inspect.getsource(inspect.unwrap(method)) for method in methods)

    def host_fake_arg(self, key, fctx):
        dtype, ndim = key
        return make_fake_tensor(dtype, tuple(cute.sym_int() for _ in range(ndim)), leading_dim=ndim - 1, divisibility=4)

    def param_fields(self):
        return [(self.name, object, None)]

    def to_params(self, gemm, args):
        return {self.name: getattr(args, self.name)}

    def place(self, gemm, count, part):
        """The word with the bits of a part of a tile, and its lowest bit; the first element has the highest bit."""
        first = (part[0] * cute.size(gemm.epi_tile_shape, mode=[1]) + part[1]) * count
        return first // 32, first % 32

    def four(self, param, tile, thread, n):
        """Address of a thread's words from 4·n on, next to those of its neighbours."""
        return cute.local_tile(param[tile[0], tile[1], n, None], (4,), (thread,))


class _Keep(_Signs):
    """Stores the sign bits of the epilogue's output of its name."""

    fn_port = "sink"

    @cute.jit
    def begin(self, gemm, param, smem_tensor, ctx):
        words = cute.make_rmem_tensor(WORDS, Uint32)
        words.fill(0)
        return words

    def begin_loop(self, gemm, state, epi_coord):
        return (state, epi_coord)

    @cute.jit
    def fn_sink_flush(self, gemm, state, frag):
        words, part = state
        count = const_expr(cute.size(frag))
        word, low = self.place(gemm, count, part)
        bits = cute.recast_tensor(frag, Uint32)
        own = Uint32(0)
        for i in cutlass.range_constexpr(count):
            own = (own << 1) | (bits[i] >> 31)
        words[word] = words[word] | (own << low)

    @cute.jit
    def end(self, gemm, param, state, epi_tile, tiled_copy_t2r, tiled_copy_r2s, tile_coord_mnkl, varlen_manager, tidx):
        words = cute.recast_tensor(state, Int32)
        for n in cutlass.range_constexpr(WORDS // 4):
            cute.autovec_copy(cute.local_tile(words, (4,), (n,)), self.four(param, tile_coord_mnkl, tidx, n))


class _Factor(_Signs):
    """Provides the epilogue with the factor of the activation's square root: 2 above zero, −1 below."""

    fn_port = "value"

    @cute.jit
    def begin(self, gemm, param, smem_tensor, ctx):
        words = cute.make_rmem_tensor(WORDS, Int32)
        for n in cutlass.range_constexpr(WORDS // 4):
            cute.autovec_copy(self.four(param, ctx.tile_coord_mnkl, ctx.tidx, n), cute.local_tile(words, (4,), (n,)))
        factors = cute.make_rmem_tensor(ctx.tRS_rD_layout.shape, Float32)
        return (cute.recast_tensor(words, Uint32), factors)

    def begin_loop(self, gemm, state, epi_coord):
        return (*state, epi_coord)

    @cute.jit
    def fn_prepare(self, gemm, state, paired):
        words, factors, part = state
        count = const_expr(cute.size(factors))
        word, low = self.place(gemm, count, part)
        for i in cutlass.range_constexpr(count):
            negative = (words[word] & Uint32(1 << (low + count - 1 - i))) != 0
            factors[i] = Float32(cutlass.select_(negative, Float32(-1.0), Float32(2.0)))
        return factors


@gemm_epilogue(outs={"signs": _Keep("signs")})
def _activated(acc):
    y = cute.arch.fmax(acc, acc * 0.5)
    return {"D": y * y, "signs": acc}


@gemm_epilogue(ops={"signs": _Factor("signs")})
def _derived(acc, c, signs):
    """See mlp_triton: the derivative of y = x² is 2·√y, that of y = (x/2)² below zero −√y."""
    return {"D": acc * (cute.math.sqrt(c, fastmath=True) * signs)}


def _take(x: Tensor, fc: Tensor) -> bool:
    return x.dtype.itemsize == 2 and fc.size(0) % 8 == 0 and fc.size(1) % 8 == 0  # 16 bytes are read at a time


def _product(
    epilogue: EpiMod, a: Tensor, b: Tensor, out: Tensor, signs: Tensor, post: Tensor | None = None, b_kn: bool = False
) -> None:
    epilogue.gemm(a.detach(), b.detach(), out, post, epi_args={"signs": signs}, b_kn=b_kn, **TILE)


def _forward(x: Tensor, fc: Tensor) -> tuple[Tensor, Tensor]:
    post = x.new_empty(len(x), len(fc))
    down = triton.cdiv(len(x), TILE["tile_M"])
    across = triton.cdiv(len(fc), TILE["tile_N"] * TILE["cluster_N"]) * TILE["cluster_N"]
    signs = x.new_empty(down, across, WORDS // 4, 4 * THREADS, dtype=torch.int32)
    _product(_activated, x, fc, post, signs)
    return post, signs


def _backward(dout: Tensor, proj: Tensor, post: Tensor, signs: Tensor) -> Tensor:
    dpre = torch.empty_like(post)
    _product(_derived, dout, proj, dpre, signs, post, b_kn=True)
    return dpre


QUACK = Products(_take, _forward, _backward)


def mlp(x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor) -> Tensor:
    """See golf.kernels.mlp; x is in the type to compute in."""
    return mlp_triton.mlp(x, fc, proj, scale, QUACK)
