"""What the model's configuration promises: size, initialisation, causality, toggles, widths, types, errors."""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from golf.app import plain
from golf.build import build
from golf.errors import UserError
from golf.kernels.residual import Skip, residual
from golf.kernels.rotary import rotary_tables
from golf.kernels.xsa import exclude_self
from golf.model.gpt import GPT
from golf.model.layer_order import layer_order
from golf.paths import config_dir
from golf.ttt.hash_embed import HashEmbedding


@cache
def shape(name: str) -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=[f"model={name}"]).model)


def gpt(**changes) -> GPT:
    torch.manual_seed(0)
    return build(shape("tiny") | changes)


def trained(model: GPT) -> GPT:
    """Every parameter away from its initial value: projections that are not zero, gates that are open, …"""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


def tokens(length: int, rows: int = 2, vocab_size: int = 320) -> torch.Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(2))


def loss(model: GPT, length: int = 33) -> torch.Tensor:
    ids = tokens(length, vocab_size=model.tok_emb.num_embeddings)
    return model(ids[:, :-1], ids[:, 1:])


def test_whole_numbers_are_numbers_too():
    whole = {name: round(value) for name, value in shape("tiny").items() if isinstance(value, float)}
    assert len(whole) > 3
    assert loss(gpt(**whole | {"embed_init_std": 1})).isfinite()


# The record's model


@pytest.fixture(scope="module")
def record() -> GPT:
    torch.manual_seed(0)
    return build(shape("sp8192"))


def test_parameters_of_the_record(record):
    assert sum(parameter.numel() for parameter in record.parameters()) == 35_943_512


@torch.no_grad()
def test_loss_at_initialisation(record):
    for record.recurrent in (False, True):
        assert loss(record, 65).item() == pytest.approx(math.log(8192), abs=0.05)
    record.recurrent = True


def test_layer_order_of_the_record(record):
    assert record.orders[False] == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10])
    assert record.orders[True] == ([0, 1, 2, 3, 4, 5, 4], [5, 4, 5, 6, 7, 8, 9, 10])
    assert record.skip_weights.shape == record.skip_gates.shape == (7, 512)
    assert [block.parallel for block in record.blocks] == [False] * 7 + [True] * 4
    assert all(block.attn.xsa for block in record.blocks)


def test_initial_matrices_of_the_record(record):
    embedding = record.tok_emb.weight
    assert embedding.std().item() == pytest.approx(0.005, rel=0.01)
    assert embedding.mean().abs() < 1e-4
    for name, layer in record.named_modules():
        if not isinstance(layer, nn.Linear):
            continue
        weight = layer.weight.detach()
        if name.endswith(".proj"):
            assert not weight.any(), name
        else:  # orthogonal before it was rounded
            weight = weight if weight.size(0) <= weight.size(1) else weight.T
            torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), rtol=0, atol=0.01, msg=name)


def test_initial_vectors_and_rounding_of_the_record(record):
    expected = {"q_gain": 4, "attn_scale": 1, "mlp_scale": 1, "skip_weights": 1, "skip_gates": 0}
    for name, parameter in record.named_parameters():
        assert torch.equal(parameter, parameter.bfloat16().float()), name
        kind = name.rpartition(".")[2]
        if kind == "resid_mix":
            assert torch.equal(parameter, torch.tensor([[1.0], [0.0]]).expand(2, 512))
        elif kind in expected:
            assert (parameter == expected[kind]).all(), name


def test_small_matrices_keep_pytorchs_initialisation():
    model = gpt(model_dim=64, embedding_dim=64)  # k and v map 64 → 32
    q, k = model.blocks[0].attn.c_q.weight.detach(), model.blocks[0].attn.c_k.weight.detach()
    torch.testing.assert_close(q @ q.T, torch.eye(64), rtol=0, atol=0.02)
    bound = 1 / math.sqrt(64)  # uniform
    assert k.abs().max() <= bound * 1.01
    assert k.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


# Causality


@pytest.mark.parametrize("changed", [0, 1, 17, 39])
@pytest.mark.parametrize("hashed", [False, True], ids=["no_hash", "hash"])
@torch.no_grad()
def test_no_logit_sees_a_later_token(changed, hashed):
    model = trained(gpt(seq_len=32))  # 40 tokens: the stretched rotary base too
    if hashed:
        model.extra_embedding = HashEmbedding(64, 32)
        nn.init.normal_(model.extra_embedding.weight)
    before = tokens(40)
    after = before.clone()
    after[:, changed] = (after[:, changed] + 7) % 320
    for model.recurrent in (False, True):
        difference = (model.logits(model.hidden(before)) - model.logits(model.hidden(after))).abs().amax((0, 2))
        assert (difference[:changed] <= 1e-5).all()
        assert (difference[changed:] > 1e-3).all()  # and every later one does see it


# Layer order and skips


@given(st.integers(1, 16).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.data(), st.integers(0, 4))
def test_layer_order(layers_and_start, data, num_loops):
    num_layers, start = layers_and_start
    end = data.draw(st.integers(start, num_layers - 1))
    encoder, decoder = layer_order(num_layers, num_loops, start, end)
    order = encoder + decoder
    assert len(encoder) == len(order) // 2
    assert [order.count(i) for i in range(num_layers)] == [
        1 + num_loops if start <= i <= end else 1 for i in range(num_layers)
    ]
    for i, following in pairwise(order):
        assert following == i + 1 or (i == end and following == start)


def test_no_loops_is_the_same_order_both_ways():
    model = trained(gpt(num_loops=0))
    assert model.orders[False] == model.orders[True] == ([0, 1, 2], [3, 4, 5])
    assert list(model.looped_blocks) == []
    losses = []
    for model.recurrent in (False, True):
        losses.append(loss(model))
    assert torch.equal(*losses)


@pytest.mark.parametrize("recurrent", [False, True], ids=["plain", "recurrent"])
@pytest.mark.parametrize("gated", [False, True])
@torch.no_grad()
def test_skips(recurrent, gated):
    """The last encoder output comes first, and each decoder layer but the surplus ones takes one."""
    model = trained(gpt(skip_gates=gated))
    assert ("skip_gates" in dict(model.named_parameters())) is gated
    model.recurrent = recurrent
    calls = []
    for i, block in enumerate(model.blocks):
        block.register_forward_hook(lambda _, inputs, output, i=i: calls.append((i, inputs, sum(output[0]))))
    model.hidden(tokens(20))
    encoder, decoder = model.orders[recurrent]
    assert [i for i, _, _ in calls] == encoder + decoder
    stack = [output for _, _, output in calls[: len(encoder)]]
    before = None
    for n, (_, (terms, _, _, _, *skip), output) in enumerate(calls):
        if before is not None:
            torch.testing.assert_close(sum(terms), before)
        before = output
        j = n - len(encoder)
        if 0 <= j < len(encoder):
            assert (skip[0].state is None) is (j == 0)  # then it is the stream's own sum
            torch.testing.assert_close(sum(terms) if j == 0 else skip[0].state, stack.pop())
            assert torch.equal(skip[0].weight, model.skip_weights[j])
            assert torch.equal(skip[0].gate, model.skip_gates[j]) if gated else skip[0].gate is None
        else:
            assert skip in ([], [None])


@pytest.mark.parametrize("gated", [False, True])
def test_a_skip_meets_the_stream_before_the_mix(gated):
    generator = torch.Generator().manual_seed(0)
    a, b, state, x0 = torch.randn(4, 2, 5, 8, generator=generator)
    weight, gate, *mix = torch.randn(4, 8, generator=generator)
    found = residual([a, b], 0.5, torch.stack(mix), x0, Skip(state, weight, gate if gated else None), want_total=True)
    share = torch.sigmoid(gate)
    x = share * (a + b) + (1 - share) * weight * state if gated else a + b + weight * state
    x = mix[0] * x + mix[1] * x0
    torch.testing.assert_close(found.total, a + b)
    torch.testing.assert_close(found.x, x)
    torch.testing.assert_close(found.normed, 0.5 * x / x.square().mean(-1, keepdim=True).sqrt())


# Toggles


@pytest.mark.parametrize(
    "toggle",
    [
        {"num_loops": 0},
        {"num_loops": 1},
        {"loop_start": 1},
        {"loop_end": 4},
        {"xsa_last_n": 0},
        {"parallel_start_layer": None},
        {"ln_scale": False},
        {"skip_gates": False},
        {"logit_softcap": 5.0},
        {"rope_dims": 16},
        {"rope_base": 500.0},
        {"seq_len": 16},
    ],
    ids=lambda toggle: "-".join(f"{key}={value}" for key, value in toggle.items()),
)
@torch.no_grad()
def test_toggle_changes_the_loss(toggle):
    model, other = trained(gpt()), trained(gpt(**toggle))
    shared = {key: value for key, value in model.state_dict().items() if not key.startswith("skip")}
    other.load_state_dict(shared, strict=False)
    assert loss(other).isfinite()
    assert (loss(other) - loss(model)).abs() > 1e-4


def test_toggles_reach_the_blocks_they_name():
    model = gpt(xsa_last_n=2, parallel_start_layer=3, ln_scale=False)
    assert [block.attn.xsa for block in model.blocks] == [False] * 4 + [True] * 2
    assert [block.parallel for block in model.blocks] == [False] * 3 + [True] * 3
    assert {block.branch_scale for block in model.blocks} == {1.0}
    assert not any(block.parallel for block in gpt(parallel_start_layer=None).blocks)


def test_xsa_leaves_nothing_along_the_own_value():
    generator = torch.Generator().manual_seed(0)
    y, v = torch.randn(2, 5, 6, 8, generator=generator), torch.randn(2, 5, 3, 8, generator=generator)
    rest = exclude_self(y, v)
    values = v.repeat_interleave(2, dim=2)  # heads 0 and 1 share the first value
    assert (rest * values).sum(-1).abs().max() < 1e-5
    removed = y - rest
    torch.testing.assert_close(removed, (removed * values).sum(-1, True) / values.square().sum(-1, True) * values)


@torch.no_grad()
def test_logits_stay_inside_the_cap():
    model = gpt()
    model.tok_emb.weight *= 10_000
    logits = model.logits(model.hidden(tokens(16)))
    assert 29 < logits.abs().max() <= 30


# Widths


@pytest.mark.parametrize("embedding_dim", [16, 48])
def test_embedding_of_another_width(embedding_dim):
    model = trained(gpt(embedding_dim=embedding_dim))
    assert model.tok_emb.weight.shape == (320, embedding_dim)
    assert model.embed_proj.weight.shape == (32, embedding_dim)
    assert model.head_proj.weight.shape == (embedding_dim, 32)
    assert model.hidden(tokens(20)).shape == (2, 20, embedding_dim)
    loss(model).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_wider_projections_are_initialised_like_matrices():
    model = gpt(model_dim=128, embedding_dim=64)
    embed, head = model.embed_proj.weight.detach(), model.head_proj.weight.detach()
    torch.testing.assert_close(embed.T @ embed, torch.eye(64), rtol=0, atol=0.02)
    torch.testing.assert_close(head @ head.T, torch.eye(64), rtol=0, atol=0.02)


def test_embedding_of_the_same_width_has_no_projection():
    assert gpt().embed_proj is None
    assert gpt().head_proj is None


# Types


@pytest.mark.parametrize("hashed", [False, True], ids=["no_hash", "hash"])
@torch.no_grad()
def test_types_under_autocast(hashed):
    """float32 masters used in bfloat16: the residual stream is bfloat16, with the hash too; logits are float32."""
    model = gpt()
    if hashed:
        model.extra_embedding = HashEmbedding(64, 32)
    seen = set()
    for block in model.blocks:
        block.register_forward_hook(lambda _, inputs, output: seen.update(x.dtype for x in (*inputs[0], *output[0])))
        block.attn.register_forward_hook(lambda _, inputs, output: seen.update([inputs[0].dtype, output.dtype]))
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.logits(model.hidden(tokens(16)))
    assert seen == {torch.bfloat16}
    assert logits.dtype == torch.float32
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_rotary_tables_are_float32_under_autocast():
    cos, sin = rotary_tables(2048, 16, 10_000.0, 2048)
    position, frequency = 2047, 10_000.0 ** (-2 / 16)
    assert cos[position, 1].item() == pytest.approx(math.cos(position * frequency), abs=1e-3)
    assert sin[position, 1].item() == pytest.approx(math.sin(position * frequency), abs=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert {table.dtype for table in rotary_tables(8, 8, 10_000.0, 8)} == {torch.float32}


# Errors


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"num_heads": 3}, r"model.num_heads=3 .*model.model_dim=32"),
        ({"num_heads": 4, "num_kv_heads": 3}, r"model.num_kv_heads=3 .*model.num_heads=4"),
        ({"rope_dims": 7}, "model.rope_dims=7"),
        ({"rope_dims": 2}, "model.rope_dims=2"),
        ({"rope_dims": 18}, "model.rope_dims=18 .*head size 16"),
        ({"loop_start": 4}, "model.loop_start=4 … model.loop_end=3"),
        ({"loop_end": 6}, "model.loop_end=6 .*model.num_layers=6"),
        ({"loop_start": -1}, "model.loop_start=-1"),
        ({"xsa_last_n": 7}, "model.xsa_last_n=7 .*model.num_layers=6"),
        ({"parallel_start_layer": 7}, "model.parallel_start_layer=7 must be from 0 to 6, or null"),
    ],
)
def test_impossible_shapes(changes, culprit):
    with pytest.raises(UserError, match=culprit):
        gpt(**changes)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 7), st.integers(0, 2), st.booleans(), st.data())
def test_any_depth_runs(num_layers, num_loops, gated, data):
    start = data.draw(st.integers(0, num_layers - 1))
    end = data.draw(st.integers(start, num_layers - 1))
    depth = {"num_layers": num_layers, "xsa_last_n": num_layers, "parallel_start_layer": num_layers // 2}
    model = gpt(**depth, num_loops=num_loops, loop_start=start, loop_end=end, skip_gates=gated)
    for model.recurrent in (False, True):
        assert loss(model, 9).item() == pytest.approx(math.log(320), abs=0.2)
