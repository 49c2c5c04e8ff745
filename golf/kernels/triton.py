"""The model's parts in Triton kernels: they need no compilation of the model, and a GPU."""

from golf.kernels.cross_entropy_triton import cross_entropy
from golf.kernels.heads_triton import heads
from golf.kernels.linear_triton import linear
from golf.kernels.mlp_triton import mlp
from golf.kernels.residual_triton import residual
from golf.kernels.xsa_triton import exclude_self

__all__ = ["cross_entropy", "exclude_self", "heads", "linear", "mlp", "residual"]
