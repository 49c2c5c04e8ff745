"""The model's parts in PyTorch's own operations, which torch.compile fuses as far as it can."""

from golf.kernels.cross_entropy import cross_entropy
from golf.kernels.heads import heads
from golf.kernels.linear import linear
from golf.kernels.mlp import mlp
from golf.kernels.residual import residual
from golf.kernels.xsa import exclude_self

__all__ = ["cross_entropy", "exclude_self", "heads", "linear", "mlp", "residual"]
