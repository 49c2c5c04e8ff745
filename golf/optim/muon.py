"""Muon: momentum, rows normalised, then orthogonalised by Newton–Schulz (spec: Training).

Muon is Keller Jordan's (kellerjordan.github.io/posts/muon); the record adds normalising the update's rows first.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golf.runtime import dist

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def newton_schulz(g: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """Roughly orthogonalise each matrix of g (…, rows, cols): singular values land near one. Returns `dtype`."""
    a, b, c = COEFFICIENTS
    x: Tensor = g.to(dtype)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = g.size(-2) > g.size(-1)
    if tall:
        x = x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for matrices (rows, cols).

    Matrices of one shape are orthogonalised as one batch in `ns_dtype`, which the ranks share.
    """

    def __init__(
        self,
        matrices: Iterable[nn.Parameter],
        lr: float,
        momentum: float,
        weight_decay: float,
        ns_steps: int,
        ns_dtype: torch.dtype,
    ):
        rates = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(list(matrices), {**rates, "ns_steps": ns_steps, "ns_dtype": ns_dtype})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    by_shape[p.shape].append((p, p.grad))
            for (rows, cols), batch in by_shape.items():
                matrices, gradients = [p for p, _ in batch], [g for _, g in batch]
                self._step_batch(group, matrices, gradients, scale=max(1.0, rows / cols) ** 0.5)

    def _step_batch(self, group: dict[str, Any], matrices: list[Tensor], gradients: list[Tensor], scale: float) -> None:
        momentum = group["momentum"]
        for p in matrices:
            if "buffer" not in self.state[p]:
                self.state[p]["buffer"] = torch.zeros_like(p)
        buffers = [self.state[p]["buffer"] for p in matrices]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)
        update = torch.stack(torch._foreach_add(gradients, buffers, alpha=momentum))
        # Many gradients are exactly zero at the first step (output projections start at zero): hence the floor.
        update /= update.norm(dim=-1, keepdim=True).clamp_min(1e-7)
        update = _orthogonalise(update, group["ns_steps"], group["ns_dtype"])
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(matrices, list(update.to(matrices[0].dtype).unbind()), alpha=-group["lr"] * scale)


def _orthogonalise(batch: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """newton_schulz of a batch (n, rows, cols), shared by the ranks."""
    each = -(-len(batch) // dist.world_size())  # rounded up: the last ranks work on zeros
    padded = F.pad(batch, (0, 0, 0, 0, 0, each * dist.world_size() - len(batch)))
    mine = padded[each * dist.rank() :][:each]
    return dist.all_gather(newton_schulz(mine, steps, dtype))[: len(batch)]
