"""The model's parts in Triton kernels. They need a GPU, and no compilation of the model."""

from golf.kernels.cross_entropy_triton import cross_entropy
from golf.kernels.gptq_triton import gptq_block
from golf.kernels.heads_triton import heads
from golf.kernels.linear_triton import linear
from golf.kernels.mlp_triton import activation, mlp
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
