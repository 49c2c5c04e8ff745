"""Hessians against inputs that the test records itself."""

from functools import cache

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from golf.app import plain
from golf.build import build
from golf.data.loader import Loader
from golf.events import Listener
from golf.model.gpt import GPT
from golf.paths import config_dir
from golf.quantizer.hessian import collect_hessians

SEQ_LEN, BATCHES, SEQUENCES = 16, 3, 5


@cache
def shape() -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["model=tiny"]).model)


def gpt(**changes) -> GPT:
    torch.manual_seed(0)
    model = build(shape() | {"seq_len": SEQ_LEN} | changes)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return model


def loader() -> Loader:
    return Loader(
        [np.random.default_rng(0).integers(320, size=3000).astype(np.uint16)], SEQ_LEN, seed=None, order="global"
    )


def hessians(model: GPT, batches: int = BATCHES, batch_tokens: int = SEQUENCES * SEQ_LEN) -> dict[str, Tensor]:
    return collect_hessians(model, loader(), batches, batch_tokens, Listener())


def inputs_of(model: GPT, layer: nn.Linear) -> list[Tensor]:
    """What the layer is given in each forward pass and, in a recurrent block, each time: (sequences·length, inputs)."""
    return [given.flatten(0, -2) for given, _ in products_of(model, layer)]


@torch.no_grad()
def products_of(model: GPT, layer: nn.Linear) -> list[tuple[Tensor, Tensor]]:
    """Input and output of each of its products."""

    class Products(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            if function is nn.functional.linear and args[1] is layer.weight:
                products.append((args[0], output))
            return output

    products: list[tuple[Tensor, Tensor]] = []
    batches = loader()
    with Products():
        for _ in range(BATCHES):
            model.hidden(batches.batch(SEQUENCES)[0])
    return products


def mean_gram(inputs: list[Tensor]) -> Tensor:
    """Sum over all rows x of all passes of x·xᵀ, in float64, divided by the number of batches."""
    rows = torch.cat(inputs).double()
    return torch.einsum("ni,nj->ij", rows, rows) / BATCHES


def assert_same(hessian: Tensor, expected: Tensor) -> None:
    assert hessian.dtype == torch.float32
    torch.testing.assert_close(hessian.double(), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


LAYERS = [
    ("blocks.0.attn.c_q", 1),
    ("blocks.1.mlp.proj", 1),
    ("blocks.2.attn.c_v", 3),  # blocks 2 and 3 are recurrent: three passes
    ("blocks.3.attn.proj", 3),
    ("blocks.3.mlp.fc", 3),
    ("blocks.5.mlp.fc", 1),  # parallel
]


@pytest.mark.parametrize(("name", "passes"), LAYERS)
def test_layers(name, passes):
    model = gpt()
    inputs = inputs_of(model, model.get_submodule(name))
    assert len(inputs) == BATCHES * passes
    assert_same(hessians(model)[f"{name}.weight"], mean_gram(inputs))


@torch.no_grad()
def test_embedding_meets_the_heads_input():
    model, batches = gpt(), loader()
    head_inputs = [model.hidden(batches.batch(SEQUENCES)[0]).flatten(0, 1) for _ in range(BATCHES)]
    for x in head_inputs:
        torch.testing.assert_close(x.square().mean(-1), torch.ones(len(x)), rtol=1e-4, atol=0)  # the final norm's
    assert_same(hessians(model)["tok_emb.weight"], mean_gram(head_inputs))


@torch.no_grad()
def test_embedding_of_another_width_meets_the_projections_output():
    model = gpt(embedding_dim=24)
    norms = inputs_of(model, model.head_proj)
    expected = mean_gram([output.flatten(0, 1) for _, output in products_of(model, model.head_proj)])
    found = hessians(model)
    assert found["tok_emb.weight"].shape == (24, 24)
    assert_same(found["tok_emb.weight"], expected)
    assert_same(found["head_proj.weight"], mean_gram(norms))
    assert_same(found["embed_proj.weight"], mean_gram(inputs_of(model, model.embed_proj)))


@pytest.mark.parametrize("changes", [{}, {"embedding_dim": 24}, {"num_loops": 0}], ids=str)
def test_every_layer_has_one(changes):
    model = gpt(**changes)
    found = hessians(model)
    layers = {
        f"{name}.weight": layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Embedding)
    }
    assert set(found) == set(layers)
    for name, hessian in found.items():
        assert hessian.shape == (layers[name].weight.size(1),) * 2, name
        torch.testing.assert_close(hessian, hessian.T)
        assert torch.linalg.eigvalsh(hessian.double()).min() > -1e-3, name


def test_mean_over_the_first_batches():
    """The same sequences in other portions: half as many batches of twice the size have twice the mean."""
    model = gpt()
    four, two = hessians(model, 4, 2 * SEQ_LEN), hessians(model, 2, 4 * SEQ_LEN)
    for name, hessian in four.items():
        torch.testing.assert_close(two[name], 2 * hessian, rtol=1e-3, atol=1e-3 * hessian.abs().max().item())


def test_the_model_is_left_as_it_was():
    model = gpt()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    hessians(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
