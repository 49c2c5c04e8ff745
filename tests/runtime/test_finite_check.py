"""The watch: the first step with a number that is not finite is named, with its first bad tensor; nothing changes."""

import math

import pytest
import torch
from torch import nn

from golf.errors import Diverged
from golf.runtime.finite_check import FiniteCheck


def model() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8, dtype=torch.bfloat16), nn.Linear(8, 2))
    for parameter in layers.parameters():
        parameter.grad = torch.randn_like(parameter)
    return layers


def watch(model: nn.Module) -> FiniteCheck:
    return FiniteCheck(model, "training step", "lower the rates")


def test_finite_numbers_pass_and_stay_as_they_are():
    watched = model()
    watch(watched).look_at(1, torch.tensor(2.5))
    watch(watched).require_finite(1)
    for one, other in zip(watched.parameters(), model().parameters(), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_gradient_is_named_with_step_and_loss(value):
    watched = model()
    for name in ("3.weight", "2.weight"):
        watched.get_parameter(name).grad.view(-1)[3] = value
    with pytest.raises(Diverged) as caught:
        watch(watched).look_at(17, torch.tensor(2.5))
    assert str(caught.value) == (
        "training step 17: the gradient of 2.weight is not finite, the loss is 2.5; lower the rates"
    )


def test_weights_come_before_the_gradients_that_they_spoil():
    watched = model()
    watched[3].bias.data[0] = math.nan
    watched[0].weight.grad[0, 0] = math.nan
    with pytest.raises(Diverged, match=r"^training step 2: the weight 3.bias before it is not finite, the loss is nan"):
        watch(watched).look_at(2, torch.tensor(math.nan))


def test_a_loss_alone():
    with pytest.raises(Diverged, match=r"^training step 3: the loss is inf; lower the rates"):
        watch(model()).look_at(3, torch.tensor(math.inf))


def test_weights_that_something_would_be_made_of():
    watched = model()
    watched[2].weight.data[1, 1] = math.inf
    with pytest.raises(Diverged, match=r"^training step 4: the weight 2\.weight after it is not finite; lower"):
        watch(watched).require_finite(4)
