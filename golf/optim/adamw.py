"""AdamW for all parameters: the baseline of Muon."""

import torch
from torch import nn

from golf.errors import require
from golf.optim.optimizer import Optimizer, split_parameters


class AdamW(Optimizer):
    """AdamW with separate rates and decays for matrices, embeddings and all other parameters."""

    def __init__(
        self,
        model: nn.Module,
        *,
        matrix_lr: float,
        matrix_decay: float,
        embed_lr: float,
        embed_decay: float,
        scalar_lr: float,
        scalar_decay: float,
        betas: list[float],
        eps: float,
    ):
        require(len(betas) == 2, f"optimizer.betas={betas} must be two numbers")
        matrices, embeddings, scalars = split_parameters(model)
        groups = [
            {"params": matrices, "lr": matrix_lr, "weight_decay": matrix_decay},
            {"params": embeddings, "lr": embed_lr, "weight_decay": embed_decay},
            {"params": scalars, "lr": scalar_lr, "weight_decay": scalar_decay},
        ]
        super().__init__(torch.optim.AdamW(groups, betas=(betas[0], betas[1]), eps=eps, fused=True))
