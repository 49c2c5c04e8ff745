"""One transformer layer: sequential or parallel residual branches (spec: Model 2 and 4)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from golf.kernels.interface import Kernels
from golf.kernels.residual import Skip
from golf.model.attention import Attention


class MLP(nn.Module):
    """proj(leaky_relu(fc(x), 0.5)²)."""

    def __init__(self, kernels: Kernels, width: int, hidden: int):
        super().__init__()
        self.kernels = kernels
        self.fc = nn.Linear(width, hidden, bias=False)
        self.proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """`scale` (width,) multiplies the outputs."""
        return self.kernels.mlp(x, self.fc.weight, self.proj.weight, scale)


class Block(nn.Module):
    """Maps the residual stream to the next one. A stream is passed as terms (batch, length, width) still to be summed,
    so that the sum can be fused with its first use.

    `branch_scale` multiplies the normed input of both branches.
    """

    def __init__(
        self, kernels: Kernels, attention: Attention, mlp: MLP, width: int, branch_scale: float, parallel: bool
    ):
        super().__init__()
        self.kernels = kernels
        self.attn = attention
        self.mlp = mlp
        self.attn_scale = nn.Parameter(torch.ones(width))
        self.mlp_scale = nn.Parameter(torch.ones(width))
        self.resid_mix = nn.Parameter(torch.stack([torch.ones(width), torch.zeros(width)]))
        self.branch_scale = branch_scale
        self.parallel = parallel

    def forward(
        self,
        terms: Sequence[Tensor],
        x0: Tensor | None,
        cos: Tensor,
        sin: Tensor,
        skip: Skip | None = None,
        want_total: bool = False,
        positions: Tensor | None = None,
    ) -> tuple[Sequence[Tensor], Tensor | None, Tensor | None]:
        """Returns the terms of the next stream; x0 for the next block, None for the first; the sum of `terms` if
        requested.

        positions (n,) in batch · length: compute only these; the terms are then (n, width).
        """
        total, x, normed, again, x0 = self.kernels.residual(
            terms, self.branch_scale, self.resid_mix, x0, skip, want_total
        )
        attended = self.attn(normed, cos, sin, self.attn_scale, positions)
        if positions is not None:
            x, again = x.flatten(0, 1)[positions], again.flatten(0, 1)[positions]
        if self.parallel:
            return (x, attended, self.mlp(again, self.mlp_scale)), x0, total
        _, x, normed, *_ = self.kernels.residual((x, attended), self.branch_scale)
        return (x, self.mlp(normed, self.mlp_scale)), x0, total
