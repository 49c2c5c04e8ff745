"""What a quantizer makes of a model: which tensors get codes, how near they are, and what GPTQ gains."""

from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from golf.app import plain
from golf.build import build
from golf.data.loader import Loader
from golf.data.shard import read_shard
from golf.errors import Diverged, UserError
from golf.evaluation.stream import Score
from golf.events import Listener
from golf.io.artifact import Quantized, State
from golf.kernels.rounding import round_to_codes
from golf.model.gpt import GPT
from golf.paths import config_dir
from golf.quantizer.hessian import collect_hessians
from golf.quantizer.rtn import RoundToNearest
from golf.resume.checkpointer import NoCheckpointer

PARTS = ["attn.c_q", "attn.c_k", "attn.c_v", "attn.proj", "mlp.fc", "mlp.proj"]


@cache
def config(name: str) -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["experiment=tiny", f"quantizer={name}"]))


def loader() -> Loader:
    """A fresh one, at the first training sequence."""
    dataset = build(config("gptq")["data"]).open(Listener())
    shards = [read_shard(file) for file in dataset.train_files]
    return Loader(shards, config("gptq")["model"]["seq_len"], dataset.seed, "global")


@pytest.fixture(scope="module")
def model() -> GPT:
    """The tiny model after forty steps on the fixture."""
    torch.manual_seed(0)
    model = build(config("gptq")["model"])
    trainer = build(config("gptq")["trainer"] | {"steps": 40})
    trainer.train(
        model, build(config("gptq")["optimizer"], model), loader(), lambda _: Score(0, 0), Listener(), NoCheckpointer()
    )
    return model


def quantize(model: GPT, name: str, **changes) -> State:
    return build(config(name)["quantizer"] | changes).quantize(model, loader(), Listener())


def coded(state: State) -> set[str]:
    return {name for name, tensor in state.items() if isinstance(tensor, Quantized)}


def assert_rest_is_float16(model: GPT, state: State) -> None:
    assert list(state) == list(model.state_dict())
    for name, tensor in model.state_dict().items():
        if name not in coded(state):
            assert state[name].dtype == torch.float16, name
            assert torch.equal(state[name], tensor.half()), name


# Which tensors


@pytest.mark.parametrize("name", ["gptq", "rtn"])
def test_layers_above_the_threshold_get_codes(model, name):
    """Of the tiny model's layers all but k and v (16 × 32) and q and out (32 × 32, no more than 1,024) are above it."""
    state = quantize(model, name)
    matrices = {f"blocks.{i}.{part}.weight" for i in range(6) for part in ("mlp.fc", "mlp.proj")}
    assert coded(state) == matrices | {"tok_emb.weight"}
    assert_rest_is_float16(model, state)
    for key in coded(state):
        weight, tensor = model.state_dict()[key], state[key]
        bits, clip = (8, 20.0) if key == "tok_emb.weight" else (6, 12.85)
        assert tensor.bits == bits
        assert (tensor.codes.dtype, tensor.codes.shape) == (torch.int8, weight.shape)
        assert tensor.codes.abs().max() <= 2 ** (bits - 1) - 1
        expected = clip * weight.double().std(dim=1, correction=1) / (2 ** (bits - 1) - 1)
        assert tensor.scale.dtype == torch.float16
        torch.testing.assert_close(tensor.scale.double(), expected, rtol=2**-10, atol=1e-7)


@pytest.mark.parametrize(
    ("min_elements", "parts"), [(511, PARTS), (512, ["attn.c_q", "attn.proj", "mlp.fc", "mlp.proj"]), (2048, [])]
)
def test_the_threshold_is_exclusive(model, min_elements, parts):
    state = quantize(model, "rtn", min_elements=min_elements)
    assert coded(state) == {f"blocks.{i}.{part}.weight" for i in range(6) for part in parts} | {"tok_emb.weight"}
    assert_rest_is_float16(model, state)


def test_nothing_but_layers_is_ever_coded(model):
    layers = {f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Embedding)}
    state = quantize(model, "rtn", min_elements=0)
    assert coded(state) == layers
    assert_rest_is_float16(model, state)


@pytest.mark.parametrize("name", ["gptq", "rtn"])
def test_projections_of_another_width_are_matrices(name):
    torch.manual_seed(0)
    state = quantize(build(config(name)["model"] | {"embedding_dim": 48}), name)
    assert {key: state[key].bits for key in ("embed_proj.weight", "head_proj.weight", "tok_emb.weight")} == {
        "embed_proj.weight": 6,
        "head_proj.weight": 6,
        "tok_emb.weight": 8,
    }


def test_the_records_layers():
    """Every matrix of the blocks and the embedding are above 65,536 elements, and nothing else is coded."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        record = plain(compose("config", overrides=["experiment=record"]))
    with torch.device("meta"):
        model = build(record["model"])
    above = {name for name, p in model.named_parameters() if p.numel() > record["quantizer"]["min_elements"]}
    assert above == {f"blocks.{i}.{part}.weight" for i in range(11) for part in PARTS} | {"tok_emb.weight"}


@pytest.mark.parametrize(("matrix_bits", "embed_bits"), [(4, 5), (8, 2)])
def test_other_widths(model, matrix_bits, embed_bits):
    state = quantize(model, "rtn", matrix_bits=matrix_bits, embed_bits=embed_bits)
    for key in coded(state):
        bits = embed_bits if key == "tok_emb.weight" else matrix_bits
        assert state[key].bits == bits
        assert state[key].codes.abs().max() <= 2 ** (bits - 1) - 1


def test_no_quantizer(model):
    state = quantize(model, "none")
    assert coded(state) == set()
    assert_rest_is_float16(model, state)


# How near


@pytest.mark.parametrize("clip", [12.85, 2.0])  # the second clips
def test_round_to_nearest_is_off_by_half_a_step_inside_the_clip(model, clip):
    state = quantize(model, "rtn", matrix_clip=clip, embed_clip=clip)
    clipped = 0
    for key in coded(state):
        weight, tensor = model.state_dict()[key], state[key]
        scale, limit = tensor.scale.float()[:, None], 2 ** (tensor.bits - 1) - 1
        inside = weight.abs() <= limit * scale
        error = (weight - tensor.dequantize()).abs()
        assert (error <= scale / 2 * (1 + 1e-5))[inside].all(), key
        outside = tensor.codes[~inside]
        assert (outside == limit * weight[~inside].sign()).all(), key
        clipped += len(outside)
    assert (clipped > 0) == (clip == 2.0)


def proxy_error(weight: Tensor, tensor: Quantized, hessian: Tensor) -> float:
    """(W−Ŵ)H(W−Ŵ)ᵀ, which is the squared error of the layer's outputs over the calibration data."""
    difference = weight.double() - tensor.dequantize().double()
    return ((difference @ hessian.double()) * difference).sum().item()


def test_gptq_has_lower_proxy_errors_than_round_to_nearest(model):
    settings = config("gptq")["quantizer"]
    hessians = collect_hessians(
        model, loader(), settings["calibration_batches"], settings["calibration_tokens"], Listener()
    )
    gptq, nearest = quantize(model, "gptq", min_elements=0), quantize(model, "rtn", min_elements=0)
    assert coded(gptq) == coded(nearest) == set(hessians)
    for key, hessian in hessians.items():
        weight = model.state_dict()[key]
        assert torch.equal(gptq[key].scale, nearest[key].scale)
        ratio = proxy_error(weight, gptq[key], hessian) / proxy_error(weight, nearest[key], hessian)
        assert ratio < 0.95, (key, ratio)


def test_gptq_calibrates_on_the_first_sequences(model):
    """Two quantizations with fresh loaders agree; one whose loader has moved on does not."""
    first, again = quantize(model, "gptq"), quantize(model, "gptq")
    moved = loader()
    moved.batch(100)
    other = build(config("gptq")["quantizer"]).quantize(model, moved, Listener())
    assert all(torch.equal(first[key].codes, again[key].codes) for key in coded(first))
    assert any(not torch.equal(first[key].codes, other[key].codes) for key in coded(first))


@pytest.mark.parametrize("layer", [nn.Linear(32, 64), nn.Embedding(64, 32)])
def test_a_layer_that_meets_no_calibration_data_is_named(layer):
    model = build(config("gptq")["model"])
    model.unused = layer
    with pytest.raises(
        UserError, match=r"^unused\.weight: received no calibration data.* quantizer\.min_elements=2048$"
    ):
        quantize(model, "gptq")
    assert "unused.weight" not in coded(quantize(model, "gptq", min_elements=2048))
    assert "unused.weight" in coded(quantize(model, "rtn"))


def test_quantizing_leaves_the_model_alone(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name in ("gptq", "rtn", "none"):
        quantize(model, name)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_row_of_zeros():
    """As of an output projection at the start: scale 0 and codes 0, and nothing that is not a number."""
    fresh = build(config("gptq")["model"])
    for name in ("gptq", "rtn"):
        tensor = quantize(fresh, name)["blocks.0.mlp.proj.weight"]
        assert not tensor.scale.any()
        assert not tensor.codes.any()
    assert torch.equal(round_to_codes(torch.zeros(2, 3), torch.zeros(2, 1), 6), torch.zeros(2, 3))


# Numbers that are not finite


def spoiled(name: str, value: float) -> GPT:
    """A model whose weight of that name holds the value."""
    torch.manual_seed(0)
    fresh = build(config("gptq")["model"])
    fresh.get_parameter(name).data.view(-1)[::2] = value
    return fresh


@pytest.mark.parametrize("quantizer", ["gptq", "rtn"])
def test_a_scale_beyond_float16_is_named(quantizer):
    scale = r"^the float16 scale of blocks\.3\.mlp\.proj\.weight is not finite; lower the optimizer's rates$"
    with pytest.raises(Diverged, match=scale):
        quantize(spoiled("blocks.3.mlp.proj.weight", 1e7), quantizer)


def test_hessians_that_are_not_finite_are_named():
    hessian = r"^the Hessian of blocks\.2\.mlp\.proj\.weight is not finite; lower"
    with pytest.raises(Diverged, match=hessian):
        quantize(spoiled("blocks.2.mlp.fc.weight", 1e15), "gptq")


def test_a_hessian_beyond_all_damping_is_named(model):
    gptq = build(config("gptq")["quantizer"])
    hessians = gptq.calibrate(model, loader(), Listener())
    hessians["blocks.1.mlp.fc.weight"] = 1e-40 * torch.eye(32)
    with pytest.raises(Diverged, match=r"^blocks\.1\.mlp\.fc\.weight: its Hessian cannot be factorised"):
        gptq.encode(model, hessians, Listener())


def test_codes_that_are_not_finite_are_named(model, monkeypatch):
    monkeypatch.setattr(RoundToNearest, "codes", lambda self, weight, *rest: weight / 0)
    with pytest.raises(Diverged, match=r"^the codes of tok_emb\.weight is not finite"):
        quantize(model, "rtn")
