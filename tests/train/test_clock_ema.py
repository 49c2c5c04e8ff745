"""Progress, the learning-rate factor and the weight average."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from golf.runtime.clock import Clock, lr_scale
from golf.train.ema import EMA


@pytest.fixture
def time(monkeypatch) -> SimpleNamespace:
    """The clock's source of time, moved by hand: `time.now += seconds`."""
    time = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("golf.runtime.clock.time", SimpleNamespace(perf_counter=lambda: time.now))
    return time


# Clock


def test_progress_without_a_budget_is_in_steps(time):
    clock = Clock(8, None)
    time.now += 1e6
    assert [clock.progress(step, clock.seconds()) for step in (0, 2, 7, 8, 9)] == [0.0, 0.25, 0.875, 1.0, 1.0]


def test_progress_with_a_budget_is_in_seconds_and_at_most_one(time):
    clock = Clock(100, 8.0)
    time.now += 2
    assert (clock.progress(50, clock.seconds()), clock.seconds()) == (0.25, 2.0)
    time.now += 5.75
    assert clock.progress(51, clock.seconds()) < 1
    time.now += 0.25
    assert clock.progress(52, clock.seconds()) == 1.0
    time.now += 100
    assert clock.progress(53, clock.seconds()) == 1.0


def test_steps_end_a_budget_too(time):
    assert [Clock(3, 8.0).progress(step, 0.0) for step in (2, 3)] == [0.0, 1.0]


def test_there_is_always_a_first_step(time):
    clock = Clock(3, 1e-9)
    time.now += 1
    assert (clock.progress(0, clock.seconds()), clock.progress(1, clock.seconds())) == (0.0, 1.0)


def test_what_happens_while_paused_costs_nothing(time):
    clock = Clock(100, 8.0)
    time.now += 1
    with clock.paused():
        time.now += 50
    assert clock.seconds() == 1.0
    time.now += 3
    with clock.paused():
        time.now += 50
    assert (clock.seconds(), clock.progress(1, clock.seconds())) == (4.0, 0.5)


# Learning rate


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0, 1), (0.2, 1), (0.333, 1), (0.4, 0.6 / 0.667), (0.5, 0.5 / 0.667), (0.6665, 0.5), (0.9, 0.1 / 0.667), (1, 0)],
)
def test_lr_scale_of_the_record(progress, expected):
    assert lr_scale(progress, 0.667) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0, 1), st.floats(0.001, 1))
def test_lr_scale_is_one_and_then_falls_linearly_to_zero(progress, warmdown):
    scale = lr_scale(progress, warmdown)
    assert scale == pytest.approx(1.0 if progress <= 1 - warmdown else (1 - progress) / warmdown, abs=1e-9)
    assert 0 <= scale <= 1


def test_no_warmdown():
    assert lr_scale(0.99, 0.0) == 1.0


# EMA


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.randn(3, 4))
        self.b = nn.Parameter(torch.randn(5).bfloat16())
        self.register_buffer("c", torch.randn(2))


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.997])
def test_ema_is_its_closed_form(decay):
    torch.manual_seed(0)
    model, n = Model(), 12
    ema = EMA(model, decay)
    history = [{key: tensor.double().clone() for key, tensor in model.state_dict().items()}]
    for key, tensor in ema.state_dict().items():  # it starts at the initial weights …
        assert torch.equal(tensor.double(), history[0][key])
    for _ in range(n):
        for tensor in model.state_dict().values():
            tensor += torch.randn(tensor.shape)
        ema.update()
        history.append({key: tensor.double().clone() for key, tensor in model.state_dict().items()})
    average = ema.state_dict()
    assert list(average) == list(model.state_dict())
    for key, tensor in average.items():
        recent = sum(decay ** (n - i) * history[i][key] for i in range(1, n + 1))
        expected = decay**n * history[0][key] + (1 - decay) * recent  # … which are never corrected for
        assert tensor.dtype == torch.float32, key
        torch.testing.assert_close(tensor.double(), expected, rtol=0, atol=1e-5)


def test_ema_leaves_the_model_alone():
    model = Model()
    ema = EMA(model, 0.9)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for tensor in ema.average:
        tensor += 1
    ema.update()
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key])
    assert not any(tensor.requires_grad for tensor in ema.state_dict().values())
