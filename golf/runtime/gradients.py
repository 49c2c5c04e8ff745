"""Gradients that are gathered over several losses, in memory that stays where it is."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def zero(parameters: Iterable[nn.Parameter]) -> None:
    """Let every parameter have a gradient, of zeros."""
    parameters = list(parameters)
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    torch._foreach_zero_(of(parameters))


def of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """The gradients that there are: after `zero`, all."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def accumulate(loss: Tensor, parameters: Sequence[nn.Parameter]) -> None:
    """Add the gradients of a loss to those that the parameters have: one kernel for all of a type, not one for each."""
    found = torch.autograd.grad(loss, parameters)
    for dtype in {gradient.dtype for gradient in found}:
        pairs = [(p.grad, gradient) for p, gradient in zip(parameters, found, strict=True) if p.dtype == dtype]
        torch._foreach_add_(*zip(*pairs, strict=True))
