"""Exponential moving average of the weights (spec: Training)."""

import torch
from torch import Tensor, nn


class EMA:
    """Averages every floating-point tensor of the model's state in float32, from the initial weights on.

    There is no bias correction: after n steps the initial weights still count decay**n.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.live = [tensor.detach() for tensor in model.state_dict().values()]
        self.names = list(model.state_dict())
        self.average = [tensor.float().clone() for tensor in self.live]

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(self.average, [tensor.float() for tensor in self.live], 1 - self.decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages, under the names of the model's state."""
        return dict(zip(self.names, self.average, strict=True))
