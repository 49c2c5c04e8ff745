"""Gradients that are gathered over several losses, in memory that stays where it is."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def zero(parameters: Iterable[nn.Parameter]) -> None:
    """Let every parameter have a gradient, of zeros."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    torch._foreach_zero_(gradients)


def accumulate(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Add the gradients of a loss to those that the parameters have: all at once, not in a kernel for each."""
    torch._foreach_add_([parameter.grad for parameter in parameters], torch.autograd.grad(loss, parameters))
