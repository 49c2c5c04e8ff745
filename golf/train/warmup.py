"""Steps before the clock starts, to compile both layer orders; they are undone (spec: Training)."""

from collections.abc import Callable
from copy import deepcopy

import torch

from golf.model.gpt import GPT
from golf.optim.optimizer import Optimizer


def warm_up(model: GPT, optimizer: Optimizer, steps: int, step: Callable[[int], object]) -> None:
    """Call step(i) for i below `steps` plain and then recurrent; model and optimizer are restored exactly.

    The caller restores other state that `step` advances, such as the loader's.
    """
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = deepcopy(optimizer.state_dict())
    for recurrent in (False, True):
        model.recurrent = recurrent
        for i in range(steps):
            step(i)
    model.load_state_dict(weights)
    optimizer.load_state_dict(state)
    optimizer.zero_grad()


class Pace:
    """Keeps the host at most one step ahead of the GPU, so that the clock measures completed steps."""

    def __init__(self, device: torch.device):
        self._last = torch.cuda.Event() if device.type == "cuda" else None

    def step(self) -> None:
        """Call after each step; waits for the step before it."""
        if self._last is not None:
            self._last.synchronize()
            self._last.record()
