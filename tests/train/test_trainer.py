"""The training loop on a model of two layers: gradients, schedules, budget, validation, averages."""

import copy
import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from golf.app import plain
from golf.build import build
from golf.data.loader import Loader
from golf.errors import Diverged, UserError
from golf.evaluation.stream import Score
from golf.events import Listener
from golf.model.gpt import GPT
from golf.optim.optimizer import Optimizer
from golf.paths import config_dir
from golf.resume.checkpointer import NoCheckpointer
from golf.train.trainer import Trained, Trainer

SEQ_LEN = 16


@cache
def config() -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["experiment=tiny"]))


def trainer(**changes) -> Trainer:
    """Ten steps of four sequences, without clipping, decay of the rate or average, unless changed."""
    usual = {"steps": 10, "batch_tokens": 64, "micro_batches": 1, "warmdown": 0.0, "grad_clip": 1e9, "ema": None}
    return build(config()["trainer"] | usual | changes)


def gpt(**changes) -> GPT:
    torch.manual_seed(0)
    shape = {"vocab_size": 64, "seq_len": SEQ_LEN, "num_layers": 2, "model_dim": 16, "embedding_dim": 16}
    loop = {"loop_start": 0, "loop_end": 1, "parallel_start_layer": 1, "xsa_last_n": 2}
    model = build(config()["model"] | shape | loop | changes)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return model


def loader() -> Loader:
    return Loader([np.random.default_rng(0).integers(64, size=2000).astype(np.uint16)], SEQ_LEN, seed=0, order="global")


class Recorder(Optimizer):
    """Plain SGD that remembers what it was given; `seconds` pass in each of its steps."""

    def __init__(self, model: GPT, lr: float, time: SimpleNamespace | None = None, seconds: float = 0.0):
        super().__init__(torch.optim.SGD(model.parameters(), lr=lr))
        self.model, self.time, self.seconds = model, time, seconds
        self.calls: list[tuple[int, float]] = []
        self.recurrent: list[bool] = []
        self.gradients: list[list[Tensor]] = []
        self.weights: list[dict[str, Tensor]] = []

    def step(self, step: int, lr_scale: float) -> None:
        self.calls.append((step, lr_scale))
        self.recurrent.append(self.model.recurrent)
        self.gradients.append([parameter.grad.clone() for parameter in self.parameters()])
        super().step(step, lr_scale)
        self.weights.append({key: tensor.clone() for key, tensor in self.model.state_dict().items()})
        if self.time is not None:
            self.time.now += self.seconds


class Heard(Listener):
    def __init__(self):
        self.events, self.curves, self.bar = [], {"train": [], "validate": []}, []

    def event(self, name, **fields):
        self.events.append((name, fields))

    def metrics(self, stage, step, **values):
        self.curves[stage].append((step, values))

    def progress(self, stage, done, total, **notes):
        self.bar.append(done / total)

    def steps(self, stage: str) -> list[int]:
        return [step for step, _ in self.curves[stage]]


def never(model: GPT) -> Score:
    raise AssertionError("no validation was asked for")


def run(optimizer: Recorder, validate=never, heard: Listener | None = None, **changes) -> Trained:
    return trainer(**changes).train(
        optimizer.model, optimizer, loader(), validate, heard or Listener(), NoCheckpointer()
    )


@pytest.fixture
def time(monkeypatch) -> SimpleNamespace:
    """The clock's source of time, moved by hand."""
    time = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("golf.runtime.clock.time", SimpleNamespace(perf_counter=lambda: time.now))
    return time


# Gradients


@pytest.mark.parametrize("micro_batches", [1, 2, 4])
def test_micro_batches_make_one_big_batch(micro_batches):
    model, heard = gpt(), Heard()
    reference = copy.deepcopy(model)
    reference.recurrent = False
    loss = reference(*loader().batch(4))
    loss.backward()
    optimizer = Recorder(model, lr=0.0)
    run(optimizer, steps=1, micro_batches=micro_batches, heard=heard)
    for gradient, parameter in zip(optimizer.gradients[0], reference.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)
    ((_, values),) = heard.curves["train"]
    assert values["loss"] == pytest.approx(loss.item(), rel=1e-6)


def test_gradients_of_one_step_do_not_reach_the_next():
    model = gpt()
    optimizer = Recorder(model, lr=0.0)
    run(optimizer, steps=2, recurrence_start=2.0)
    batches = loader()
    for gradients in optimizer.gradients:
        reference = gpt()
        reference.recurrent = False
        reference(*batches.batch(4)).backward()
        for gradient, parameter in zip(gradients, reference.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


def test_clipping_is_by_the_norm_over_all_parameters():
    def gradients(clip: float) -> Tensor:
        optimizer = Recorder(gpt(), lr=0.0)
        run(optimizer, steps=1, grad_clip=clip, micro_batches=2)
        return torch.cat([gradient.flatten() for gradient in optimizer.gradients[0]])

    free = gradients(1e9)
    norm = free.norm().item()
    torch.testing.assert_close(gradients(norm / 4), free / 4, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(gradients(norm * 1.01), free, rtol=0, atol=0)


# Schedules


def test_each_step_is_told_its_number_and_rate():
    optimizer = Recorder(gpt(), lr=0.01)
    trained = run(optimizer, steps=10, warmdown=0.5)
    assert [step for step, _ in optimizer.calls] == list(range(10))
    expected = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert [scale for _, scale in optimizer.calls] == pytest.approx(expected)
    assert (trained.steps, trained.tokens) == (10, 640)


@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.25, 3), (0.5, 5), (0.9, 9), (1.0, 10)])
def test_recurrence_starts_at_the_first_step_that_reaches_it(start, first):
    optimizer, heard = Recorder(gpt(), lr=0.01), Heard()
    run(optimizer, steps=10, recurrence_start=start, heard=heard)
    assert optimizer.recurrent == [step >= first for step in range(10)]
    events = [fields for name, fields in heard.events if name == "recurrence_on"]
    assert events == ([{"step": first, "progress": first / 10}] if first < 10 else [])
    assert optimizer.model.recurrent is True  # everything after training is recurrent


def test_a_model_without_recurrence_says_nothing_of_it():
    model, heard = gpt(num_loops=0), Heard()
    run(Recorder(model, lr=0.01), steps=4, heard=heard)
    assert [name for name, _ in heard.events if name == "recurrence_on"] == []


def test_a_warmed_up_model_starts_without_recurrence_again():
    model = gpt()
    model.recurrent = True
    optimizer = Recorder(model, lr=0.01)
    run(optimizer, steps=2)
    assert optimizer.recurrent == [False, True]


# Budget


def test_budget_ends_training_after_the_step_that_reaches_it(time):
    optimizer = Recorder(gpt(), lr=0.01, time=time, seconds=2.0)
    trained = run(optimizer, steps=100, budget_seconds=10.0, reserve_seconds=3.0, warmdown=1.0)
    assert (trained.steps, trained.tokens, trained.seconds) == (4, 4 * 64, 8.0)  # 7 s are passed at 8 s
    assert [scale for _, scale in optimizer.calls] == pytest.approx([1, 5 / 7, 3 / 7, 1 / 7])
    assert optimizer.recurrent == [False, False, True, True]


def test_steps_end_training_before_the_budget(time):
    optimizer = Recorder(gpt(), lr=0.01, time=time, seconds=2.0)
    assert run(optimizer, steps=3, budget_seconds=10.0, reserve_seconds=0.0).steps == 3


@pytest.mark.parametrize(
    ("limits", "shares"),
    [
        ({"steps": 100, "budget_seconds": 8.0}, [0.25, 0.5, 0.75, 1]),
        ({"steps": 3, "budget_seconds": 1e3}, [1 / 3, 2 / 3, 1]),
        ({"steps": 2, "budget_seconds": None}, [0.5, 1]),
    ],
)
def test_the_bar_follows_the_limit_that_comes_first(time, limits, shares):
    heard = Heard()
    optimizer = Recorder(gpt(), lr=0.01, time=time, seconds=2.0)
    run(optimizer, heard=heard, **limits, reserve_seconds=0.0, log_every=1)
    assert heard.bar == pytest.approx(shares)


def test_validation_costs_no_training_time(time):
    optimizer, heard, validated = Recorder(gpt(), lr=0.01, time=time, seconds=1.0), Heard(), []

    def validate(model: GPT) -> Score:
        validated.append((len(optimizer.calls), model.recurrent))
        time.now += 1000.0
        return Score(val_loss=3.0, val_bpb=2.0)

    budget = {"budget_seconds": 6.0, "reserve_seconds": 0.0, "warmdown": 1.0}
    trained = run(optimizer, validate, heard, steps=100, validate_every=2, **budget)
    assert (trained.steps, trained.seconds) == (6, 6.0)
    assert [scale for _, scale in optimizer.calls] == pytest.approx([(6 - s) / 6 for s in range(6)])
    assert validated == [(2, False), (4, True)]  # the last weights are the stage's to validate
    assert heard.curves["validate"] == [(step, {"val_loss": 3.0, "val_bpb": 2.0}) for step in (2, 4)]
    rates = [values["tokens_per_second"] for _, values in heard.curves["train"]]
    assert rates == pytest.approx([64.0] * 6)


# What is handed on


def test_last_weights_and_their_average():
    model = gpt()
    initial = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    optimizer = Recorder(model, lr=0.1)
    trained = run(optimizer, steps=4, ema=0.75)
    history = [initial, *optimizer.weights]
    shares = [0.75**4] + [0.25 * 0.75 ** (4 - i) for i in range(1, 5)]
    assert list(trained.raw) == list(trained.ema) == list(initial)
    for key in initial:
        assert torch.equal(trained.raw[key], history[-1][key])
        expected = sum(share * weights[key] for share, weights in zip(shares, history, strict=True))
        torch.testing.assert_close(trained.ema[key], expected, rtol=0, atol=1e-6)
    with torch.no_grad():
        model.tok_emb.weight.zero_()
    assert trained.raw["tok_emb.weight"].any()  # a copy, not the model's own


def test_no_average():
    assert run(Recorder(gpt(), lr=0.1), steps=1).ema is None


def test_it_learns():
    heard = Heard()
    repeated = Loader([np.tile(np.arange(64), 20).astype(np.uint16)], SEQ_LEN, seed=0, order="global")
    model = gpt()
    optimizer = build(config()["optimizer"], model)
    trainer(steps=30).train(model, optimizer, repeated, never, heard, NoCheckpointer())
    losses = [values["loss"] for _, values in heard.curves["train"]]
    assert losses[0] > 0.9 * math.log(64)
    assert losses[-1] < 0.3 * losses[0]


def test_curve_points():
    heard = Heard()
    run(Recorder(gpt(), lr=0.01), steps=8, log_every=3, heard=heard)
    assert heard.steps("train") == [1, 3, 6, 8]
    assert heard.steps("validate") == []
    assert {"loss", "lr_scale", "tokens_per_second"} <= heard.curves["train"][0][1].keys()


# Errors


def test_first_non_finite_step_is_named_between_curve_points():
    with pytest.raises(Diverged, match=r"training step 2: the weight \S+ before it is not finite, the loss is nan"):
        run(Recorder(gpt(), lr=math.inf), steps=10, log_every=100)


def test_a_non_finite_gradient_is_named_and_not_applied():
    model = gpt()
    weight = model.blocks[1].mlp.fc.weight
    weight.register_hook(lambda gradient: gradient / 0)
    optimizer = Recorder(model, lr=0.01)
    with pytest.raises(Diverged, match=r"training step 1: the gradient of blocks\.1\.mlp\.fc\.weight is not finite"):
        run(optimizer)
    assert optimizer.calls == []


def test_weights_that_the_last_step_spoils_are_not_handed_on():
    with pytest.raises(Diverged, match=r"step 1: the weight \S+ after it is not finite; lower the optimizer's rates"):
        run(Recorder(gpt(), lr=math.inf), steps=1)


def test_steps_of_a_warm_up_are_undone_and_may_diverge(monkeypatch):
    optimizer = Recorder(gpt(), lr=0.01)
    step = optimizer.step

    def spoil(number: int, scale: float) -> None:
        step(number, scale)
        if len(optimizer.calls) == 2:
            optimizer.model.tok_emb.weight.data.fill_(math.nan)

    monkeypatch.setattr(optimizer, "step", spoil)
    assert run(optimizer, steps=2, warmup_steps=2, recurrence_start=2.0).steps == 2


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"batch_tokens": 65}, r"trainer.batch_tokens=65 .*trainer.micro_batches=1 .*model.seq_len=16"),
        ({"batch_tokens": 64, "micro_batches": 8}, r"trainer.batch_tokens=64 .*trainer.micro_batches=8"),
        ({"steps": 0}, "trainer.steps=0"),
        ({"ema": 1.0}, "trainer.ema=1.0"),
        ({"ema": -0.1}, "trainer.ema=-0.1"),
        ({"budget_seconds": 12.0, "reserve_seconds": 12.0}, "trainer.budget_seconds=12.0 .*trainer.reserve_seconds"),
    ],
)
def test_values_that_cannot_work(changes, culprit):
    with pytest.raises(UserError, match=culprit):
        trainer(**changes).check(SEQ_LEN)


def test_values_that_can_work():
    trainer(ema=0.0, budget_seconds=12.1, reserve_seconds=12.0, micro_batches=4).check(SEQ_LEN)
