"""The record's optimizer: Muon for matrices, AdamW for all other parameters (spec: Training)."""

from typing import Literal

import torch
from torch import nn

from golf.errors import require
from golf.optim.muon import Muon
from golf.optim.optimizer import Optimizer, split_parameters


class MuonAdamW(Optimizer):
    """Muon on every linear layer's weight, AdamW on the rest.

    Muon's momentum rises linearly from `momentum_start` to `momentum` over `momentum_steps` steps.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        matrix_lr: float,
        matrix_decay: float,
        momentum_start: float,
        momentum: float,
        momentum_steps: int,
        ns_steps: int,
        ns_dtype: Literal["bfloat16", "float32"],
        embed_lr: float,
        embed_decay: float,
        scalar_lr: float,
        scalar_decay: float,
        betas: list[float],
        eps: float,
    ):
        require(momentum_steps > 0, f"optimizer.momentum_steps={momentum_steps} must be at least 1")
        for name, value in (("momentum_start", momentum_start), ("momentum", momentum)):
            require(0 <= value < 1, f"optimizer.{name}={value} must be at least 0 and below 1")
        require(ns_steps >= 0, f"optimizer.ns_steps={ns_steps} must not be negative")
        require(len(betas) == 2, f"optimizer.betas={betas} must be two numbers")
        matrices, embeddings, scalars = split_parameters(model)
        self.muon = Muon(matrices, matrix_lr, momentum_start, matrix_decay, ns_steps, getattr(torch, ns_dtype))
        adamw = torch.optim.AdamW(
            [
                {"params": embeddings, "lr": embed_lr, "weight_decay": embed_decay},
                {"params": scalars, "lr": scalar_lr, "weight_decay": scalar_decay},
            ],
            betas=(betas[0], betas[1]),
            eps=eps,
            fused=True,
        )
        super().__init__(self.muon, adamw)
        self.momentum_range = momentum_start, momentum
        self.momentum_steps = momentum_steps

    def step(self, step: int, lr_scale: float) -> None:
        start, end = self.momentum_range
        for group in self.muon.param_groups:
            group["momentum"] = start + (end - start) * min(step / self.momentum_steps, 1.0)
        super().step(step, lr_scale)
