"""golf.kernels.triton with quack's products in the MLP, for Hopper."""

from golf.kernels.cross_entropy_triton import cross_entropy
from golf.kernels.gptq_triton import gptq_block
from golf.kernels.heads_triton import heads
from golf.kernels.linear_triton import linear
from golf.kernels.mlp_quack import mlp
from golf.kernels.mlp_triton import activation
from golf.kernels.residual_triton import residual
from golf.kernels.xsa_triton import exclude_self

COMPILED = False

__all__ = [
    "COMPILED",
    "activation",
    "cross_entropy",
    "exclude_self",
    "gptq_block",
    "heads",
    "linear",
    "mlp",
    "residual",
]
