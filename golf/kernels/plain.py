"""The model's parts in PyTorch's own operations, which torch.compile can fuse."""

from golf.kernels.cross_entropy import cross_entropy
from golf.kernels.gptq import gptq_block
from golf.kernels.heads import heads
from golf.kernels.linear import linear
from golf.kernels.mlp import activation, mlp
from golf.kernels.residual import residual
from golf.kernels.xsa import exclude_self

COMPILED = True

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
