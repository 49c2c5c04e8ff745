"""The trainer's interface: one or more torch optimizers that share a learning-rate factor."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from golf.errors import require
from golf.runtime import gradients


class Optimizer:
    """Base of the classes in conf/optimizer: their `__init__(self, model, *, …)` passes the parts to this one."""

    def __init__(self, *parts: torch.optim.Optimizer):
        self.parts = parts
        for part in parts:
            for group in part.param_groups:
                require(group["lr"] >= 0, f"optimizer: a learning rate of {group['lr']} is negative")
                require(group["weight_decay"] >= 0, f"optimizer: a decay of {group['weight_decay']} is negative")
                group["base_lr"] = group["lr"]

    def parameters(self) -> Iterator[nn.Parameter]:
        for part in self.parts:
            for group in part.param_groups:
                yield from group["params"]

    def step(self, step: int, lr_scale: float) -> None:
        """Update all parameters; every group runs at `lr_scale` × its own rate. `step` counts from 0."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["base_lr"] * lr_scale
            part.step()

    def zero_grad(self) -> None:
        gradients.zero(self.parameters())

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        for part, part_state in zip(self.parts, state, strict=True):
            part.load_state_dict(part_state)


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """The parameters as (matrices, embeddings, scalars): weights of linear layers, of embeddings, and all others."""
    kinds: dict[type, list[nn.Parameter]] = {nn.Linear: [], nn.Embedding: [], nn.Module: []}
    for module in model.modules():
        kind = next(kind for kind in kinds if isinstance(module, kind))
        kinds[kind] += module.parameters(recurse=False)
    return kinds[nn.Linear], kinds[nn.Embedding], kinds[nn.Module]
