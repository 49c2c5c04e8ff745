"""Types of embedding and residual stream under autocast, and attention by name."""

import re

import golden
import pytest
import torch

from golf.errors import UserError
from golf.kernels.attention import INSTALL, choose_attention, load_attention, sdpa
from golf.ttt.hash_embed import HashEmbedding

CPU = torch.device("cpu")

IDS = torch.from_numpy(golden.load("forward")["input_ids"])


def stream_dtype(model) -> torch.dtype:
    """The type in which the residual stream enters the first block."""
    seen = []
    hook = model.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model.hidden(IDS)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("embed", "residual", "without_hash", "with_hash"),
    [
        ("float32", "autocast", torch.bfloat16, torch.bfloat16),
        ("bfloat16", "autocast", torch.bfloat16, torch.bfloat16),
        ("bfloat16", "embedding", torch.bfloat16, torch.float32),  # the record: its hash ablation changes two things
    ],
)
def test_residual_stream(embed, residual, without_hash, with_hash):
    model = golden.model(embed_dtype=embed, residual_dtype=residual)
    assert model.tok_emb.weight.dtype == getattr(torch, embed)
    assert stream_dtype(model) == without_hash
    model.extra_embedding = HashEmbedding(16, golden.CONFIG["embedding_dim"])
    assert stream_dtype(model) == with_hash


def test_autocast_changes_little():
    model = golden.model()
    exact = model.logits(model.hidden(IDS))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.logits(model.hidden(IDS))
    assert 1e-4 < (rounded - exact).norm() / exact.norm() < 3e-2


def test_a_bfloat16_embedding_works_without_autocast():
    model = golden.model(embed_dtype="bfloat16")
    loss = model(IDS, IDS.roll(-1, 1))
    loss.backward()
    assert loss.dtype == torch.float32
    assert model.tok_emb.weight.grad.dtype == torch.bfloat16


def test_auto_takes_what_works():
    assert load_attention(choose_attention("auto", CPU), CPU) is sdpa


@pytest.mark.parametrize("name", ["fa3", "fa2", "fa4"])
def test_flash_attention_needs_a_gpu(name):
    with pytest.raises(UserError, match=f"compute.attention={name} needs a GPU"):
        load_attention(name, CPU)


@pytest.mark.parametrize("name", [name for name in INSTALL if name != "fa3"])
def test_flash_attention_that_is_broken_is_one_line(name, monkeypatch, tmp_path):
    (tmp_path / "flash_attn").mkdir()
    (tmp_path / "flash_attn" / "__init__.py").write_text("raise RuntimeError('No CTK flavor')")
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        f"compute.attention={name} is not installed (No CTK flavor): {INSTALL[name]}, or use compute.attention=auto"
    )
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        load_attention(name, torch.device("cuda"))


def test_sdpa_is_causal_grouped_attention():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 9, heads, 8, generator=generator, dtype=torch.float64) for heads in (4, 2, 2))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k.repeat_interleave(2, 2)) / 8**0.5
    scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf)
    expected = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v.repeat_interleave(2, 2))
    torch.testing.assert_close(sdpa(q, k, v), expected)
