"""Gradients gathered over several losses are those of their sum, and stay where they are in memory."""

import torch
from torch import nn

from golf.runtime import gradients


def test_accumulate_adds_up_in_place():
    torch.manual_seed(0)
    layer, x = nn.Linear(3, 2), torch.randn(4, 5, 3)
    parameters = list(layer.parameters())
    gradients.zero(parameters)
    places = [parameter.grad.data_ptr() for parameter in parameters]
    for part in x:
        gradients.accumulate(layer(part).square().sum(), parameters)
    expected = torch.autograd.grad(layer(x).square().sum(), parameters)
    torch.testing.assert_close([parameter.grad for parameter in parameters], list(expected))
    gradients.zero(parameters)
    assert not any(parameter.grad.any() for parameter in parameters)
    assert [parameter.grad.data_ptr() for parameter in parameters] == places
