"""The interface of the kernels that a model uses besides PyTorch's own operations."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from golf.kernels.residual import Residual, Skip


class Kernels(Protocol):
    """A module of this package: golf.kernels.plain, triton or quack. The plain functions define the results."""

    COMPILED: bool  # may be compiled by torch.compile in training; the others are captured as CUDA graphs

    def activation(self, x: Tensor) -> Tensor: ...

    def cross_entropy(self, hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float) -> Tensor: ...

    def exclude_self(self, y: Tensor, v: Tensor) -> Tensor: ...

    def gptq_block(self, weight: Tensor, scale: Tensor, factor: Tensor, bits: int) -> tuple[Tensor, Tensor]: ...

    def heads(
        self,
        x: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        gain: Tensor,
        cos: Tensor,
        sin: Tensor,
        per_query_head: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]: ...

    def linear(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor: ...

    def mlp(self, x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor) -> Tensor: ...

    def residual(
        self,
        terms: Sequence[Tensor],
        scale: float,
        mix: Tensor | None = None,
        x0: Tensor | None = None,
        skip: Skip | None = None,
        want_total: bool = False,
    ) -> Residual: ...
