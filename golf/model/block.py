"""One transformer layer: sequential or parallel residual branches (spec: Model 2 and 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golf.model.attention import Attention
from golf.model.norm import norm


class MLP(nn.Module):
    """proj(leaky_relu(fc(x), 0.5)²)."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc = nn.Linear(width, hidden, bias=False)
        self.proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(F.leaky_relu(self.fc(x), 0.5).square())


class Block(nn.Module):
    """x, x0 (batch, length, width) → the next x. `branch_scale` multiplies the normed input of both branches."""

    def __init__(self, attention: Attention, mlp: MLP, width: int, branch_scale: float, parallel: bool):
        super().__init__()
        self.attn = attention
        self.mlp = mlp
        self.attn_scale = nn.Parameter(torch.ones(width))
        self.mlp_scale = nn.Parameter(torch.ones(width))
        self.resid_mix = nn.Parameter(torch.stack([torch.ones(width), torch.zeros(width)]))
        self.branch_scale = branch_scale
        self.parallel = parallel

    def forward(self, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        mix = self.resid_mix.to(x.dtype)
        attn_scale, mlp_scale = self.attn_scale.to(x.dtype), self.mlp_scale.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        branch = norm(x) * self.branch_scale
        h = x + attn_scale * self.attn(branch, cos, sin)
        if not self.parallel:
            branch = norm(h) * self.branch_scale
        return h + mlp_scale * self.mlp(branch)
