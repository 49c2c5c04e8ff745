"""Plain, sliding and TTT scores against the record's script, on a synthetic vocabulary."""

import golden
import pytest
import torch

from golf.data.tokenizer import ByteTable
from golf.evaluation.probe import ProbeAt
from golf.evaluation.score_all import score_all
from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Stream
from golf.events import Listener
from golf.resume.checkpointer import NoCheckpointer
from golf.ttt.score_first import ScoreFirst

NUMBERS = golden.load("evaluate")
SLIDING = Sliding(stride=golden.CONFIG["eval_stride"], batch_tokens=256, logits_dtype="float32", probes=4)


@pytest.fixture
def stream():
    table = ByteTable(NUMBERS["base_bytes"], NUMBERS["has_leading_space"], NUMBERS["is_boundary"])
    return Stream.of(NUMBERS["tokens"], table, torch.device("cpu"))


def check(score, name):
    assert score.val_loss == pytest.approx(NUMBERS[f"{name}_loss"].item(), rel=2e-5)
    assert score.val_bpb == pytest.approx(NUMBERS[f"{name}_bpb"].item(), rel=2e-5)


def test_plain(stream):
    check(score_all(SLIDING.plain(stream, 32, ProbeAt), golden.model(), "", Listener()), "plain")


def test_sliding(stream):
    check(score_all(SLIDING.sliding(stream, 32, ProbeAt), golden.model(), "", Listener()), "sliding")


@pytest.mark.slow
@pytest.mark.parametrize("hash_embed", [False, True], ids=["no_hash", "hash"])
@pytest.mark.parametrize(("name", "freeze_blocks"), [("ttt_full", 0), ("ttt_freeze2", 2)])
def test_ttt(stream, name, freeze_blocks, hash_embed):
    settings = golden.CONFIG["ttt"]
    strategy = ScoreFirst(
        chunk_tokens=settings["chunk_tokens"],
        epochs=settings["epochs"],
        lr=settings["lr"],
        momentum=settings["momentum"],
        batch_seqs=settings["batch_seqs"],
        grad_clip=settings["grad_clip"],
        parameters="all",
        freeze_blocks=freeze_blocks,
        hash_embed=hash_embed,
        hash_buckets=golden.CONFIG["hash_size"],
        hash_lr_scale=1.0,
    )
    model = golden.model()
    ledger = SLIDING.sliding(stream, model.seq_len, ProbeAt)
    strategy.adapt(model, ledger, Listener(), NoCheckpointer())
    name += "_hash" * hash_embed
    check(ledger.close(), name)
    assert ledger.facts()["probed"] == 4
    expected = torch.from_numpy(NUMBERS[f"{name}_skip_weights_after"])
    torch.testing.assert_close(model.skip_weights.data, expected, rtol=0, atol=1e-4)
    if hash_embed:
        expected = torch.from_numpy(NUMBERS[f"{name}_hash_after"])
        torch.testing.assert_close(model.extra_embedding.weight.data, expected, rtol=0, atol=1e-4)
