"""How parameters are dealt to Muon and AdamW, and one step of each computed by hand."""

import copy
import io
import math
from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from golf.app import plain
from golf.build import build
from golf.model.gpt import GPT
from golf.optim.muon import newton_schulz
from golf.optim.optimizer import Optimizer, split_parameters
from golf.paths import config_dir

# rate and decay of (matrices, embeddings, scalars), as the spec and conf/optimizer give them
RATES = {"muon": [(0.02, 0.085), (0.03, 0.085), (0.02, 0.02)], "adamw": [(0.002, 0.1), (0.03, 0.085), (0.02, 0.02)]}


@cache
def config(name: str) -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["experiment=tiny", f"optimizer={name}"]))


def gpt(**changes) -> GPT:
    torch.manual_seed(0)
    return build(config("muon")["model"] | changes)


def optimizer_of(model: GPT, name: str = "muon", **changes) -> Optimizer:
    return build(config(name)["optimizer"] | changes, model)


def set_gradients(model: GPT, step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return {name: parameter.grad.double() for name, parameter in model.named_parameters()}


def weights(model: GPT) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


# Dealing


@pytest.mark.parametrize("changes", [{}, {"embedding_dim": 16}, {"skip_gates": False}], ids=str)
def test_every_parameter_is_dealt_once(changes):
    model = gpt(**changes)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    matrices, embeddings, scalars = ([names[id(p)] for p in part] for part in split_parameters(model))
    assert sorted(matrices + embeddings + scalars) == sorted(names.values())
    projections = ["embed_proj", "head_proj"] if "embedding_dim" in changes else []
    parts = ["attn.c_q", "attn.c_k", "attn.c_v", "attn.proj", "mlp.fc", "mlp.proj"]
    layers = projections + [f"blocks.{i}.{part}" for i in range(6) for part in parts]
    assert sorted(matrices) == sorted(f"{layer}.weight" for layer in layers)
    assert embeddings == ["tok_emb.weight"]


def test_the_record_has_66_matrices():
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        model = plain(compose("config", overrides=["experiment=record"]).model)
    with torch.device("meta"):
        matrices, embeddings, scalars = split_parameters(build(model))
    assert (len(matrices), len(embeddings), len(scalars)) == (66, 1, 4 * 11 + 2)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_every_parameter_is_stepped_once(name):
    model = gpt(embedding_dim=16)
    optimizer = optimizer_of(model, name)
    assert sorted(map(id, optimizer.parameters())) == sorted(map(id, model.parameters()))
    before = weights(model)
    set_gradients(model, 0)
    optimizer.step(0, 1.0)
    for key, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[key]), key
    optimizer.zero_grad()
    assert not any(parameter.grad.any() for parameter in model.parameters())


# Steps by hand


class AdamWByHand:
    """Loshchilov and Hutter, arXiv:1711.05101, in float64."""

    def __init__(self, weight: Tensor, decay: float):
        self.weight, self.decay = weight.double(), decay
        self.m = self.v = torch.zeros_like(self.weight)
        self.steps = 0

    def step(self, gradient: Tensor, lr: float) -> None:
        self.steps += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.95 * self.v + 0.05 * gradient**2
        m, v = self.m / (1 - 0.9**self.steps), self.v / (1 - 0.95**self.steps)
        self.weight = self.weight - lr * self.decay * self.weight - lr * m / (v.sqrt() + 1e-8)


class MuonByHand:
    """Spec: Training. The momentum is that of conf/optimizer/muon.yaml's first steps."""

    def __init__(self, weight: Tensor, decay: float):
        self.weight, self.decay = weight.double(), decay
        self.buffer = torch.zeros_like(self.weight)
        self.steps = 0

    def step(self, gradient: Tensor, lr: float) -> None:
        momentum = 0.92 + 0.07 * self.steps / 1500
        self.steps += 1
        self.buffer = momentum * self.buffer + gradient
        update = gradient + momentum * self.buffer
        update = update / update.norm(dim=1, keepdim=True)
        update = newton_schulz(update.float(), 5, torch.bfloat16).double() * math.sqrt(
            max(1, update.size(0) / update.size(1))
        )
        self.weight = (1 - lr * self.decay) * self.weight - lr * update


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_three_steps_by_hand(name):
    model = gpt(embedding_dim=16)
    optimizer = optimizer_of(model, name)
    kinds = {id(p): kind for kind, part in enumerate(split_parameters(model)) for p in part}
    by_hand, rates = {}, {}
    for key, parameter in model.named_parameters():
        parameter.data += 3.0  # so that decay shows
        kind = kinds[id(parameter)]
        rates[key], decay = RATES[name][kind]
        by_hand[key] = (MuonByHand if name == "muon" and kind == 0 else AdamWByHand)(parameter.detach(), decay)
    for step, scale in enumerate([1.0, 0.5, 0.25]):  # of each group's own rate, not of the last one
        gradients = set_gradients(model, step)
        optimizer.step(step, scale)
        for key, parameter in model.named_parameters():
            by_hand[key].step(gradients[key], rates[key] * scale)
            bf16 = isinstance(by_hand[key], MuonByHand)  # Newton–Schulz may round its input the other way
            atol = 5e-2 * rates[key] if bf16 else 2e-6
            torch.testing.assert_close(parameter.double(), by_hand[key].weight, rtol=0, atol=atol, msg=key)


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_scale_zero_changes_nothing(name):
    model = gpt()
    optimizer = optimizer_of(model, name)
    before = weights(model)
    set_gradients(model, 0)
    optimizer.step(0, 0.0)
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]), key


def test_momentum_rises_over_1500_steps():
    model = gpt(num_layers=4, loop_start=1, loop_end=2, xsa_last_n=4)
    optimizer = optimizer_of(model)
    momentum = []
    for step in (0, 1, 750, 1499, 1500, 5000):
        set_gradients(model, 0)
        optimizer.step(step, 0.0)
        (group,) = optimizer.muon.param_groups
        momentum.append(group["momentum"])
    assert momentum == pytest.approx([0.92, 0.92 + 0.07 / 1500, 0.955, 0.99 - 0.07 / 1500, 0.99, 0.99], abs=1e-12)


# Resuming


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_restored_state_goes_on_identically(name):
    model = gpt()
    optimizer = optimizer_of(model, name)
    for step in range(3):
        set_gradients(model, step)
        optimizer.step(step, 0.3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(model)
    restored = optimizer_of(other, name)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for step in range(3, 6):
        for each, its_optimizer in ((model, optimizer), (other, restored)):
            set_gradients(each, step)
            its_optimizer.step(step, 1.0)
    for (key, parameter), same in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, same), key


def test_a_layer_of_a_new_kind_is_still_dealt():
    """Whoever adds a module to the model need not touch the optimizers: what is no layer's weight is a scalar."""

    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.ones(3))
            self.inner = nn.Linear(2, 3)

    module = Gain()
    matrices, embeddings, scalars = split_parameters(module)
    assert [p.shape for p in scalars] == [(3,)]
    assert (len(matrices), len(embeddings)) == (2, 0)
