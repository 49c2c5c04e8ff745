"""Score-first TTT: legal, on the right sequences at the right rates, of the right parameters."""

import math
from collections.abc import Iterator
from functools import cache

import golden
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from golf.app import plain
from golf.build import build
from golf.data.tokenizer import ByteTable
from golf.errors import UserError
from golf.evaluation.ledger import Ledger
from golf.evaluation.reader import Reader
from golf.evaluation.score_all import score_all
from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Score, Stream
from golf.evaluation.windows import Windows, sliding_windows
from golf.events import Listener
from golf.model.gpt import GPT
from golf.paths import config_dir
from golf.resume.checkpointer import NoCheckpointer
from golf.ttt.score_first import ScoreFirst

SEQ_LEN, CHUNK = 32, 128  # the golden model's sequences; the last of 600 targets' five chunks is short
TOKENS = np.random.default_rng(0).integers(128, size=601).astype(np.uint16)


@cache
def config() -> dict:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=["experiment=tiny", "ttt=score_first"]))


def ttt(**changes) -> ScoreFirst:
    usual = {"chunk_tokens": CHUNK, "epochs": 1, "lr": 0.05, "hash_buckets": 256, "hash_lr_scale": 1.0}
    return build(config()["ttt"] | usual | changes)


def stream_of(tokens: np.ndarray) -> Stream:
    ones, no = np.ones(128, np.int16), np.zeros(128, bool)
    return Stream.of(tokens, ByteTable(ones, no, no), torch.device("cpu"))


class Recording(Reader):
    """Keeps each target's loss."""

    def __init__(self):
        super().__init__(batch_tokens=256, logits_dtype=torch.float32)
        object.__setattr__(self, "seen", torch.zeros(0))

    def losses(self, model: GPT, stream: Stream, windows: Windows) -> Iterator[Tensor]:
        for nats in super().losses(model, stream, windows):
            object.__setattr__(self, "seen", torch.cat([self.seen, nats]))
            yield nats


class Heard(Listener):
    def __init__(self):
        self.curve: list[tuple[int, dict[str, float]]] = []

    def metrics(self, stage, step, **values):
        assert stage == "ttt"
        self.curve.append((step, values))


class Run:
    """One evaluation with TTT and all that can be seen of it."""

    def __init__(self, tokens: np.ndarray = TOKENS, stride: int = 16, **changes):
        self.model = golden.model()
        self.before = {key: tensor.clone() for key, tensor in self.model.state_dict().items()}
        self.trained_on: list[tuple[int, Tensor]] = []  # targets scored by then, inputs and the last target
        reader, stream = Recording(), stream_of(tokens)
        ledger = Ledger(stream, sliding_windows(stream.num_targets, SEQ_LEN, stride), reader)
        self.model.register_forward_pre_hook(  # scoring calls hidden() and logits() instead
            lambda _, batch: self.trained_on.append((len(reader.seen), torch.cat([batch[0], batch[1][:, -1:]], 1)))
        )
        heard = Heard()
        ttt(**changes).adapt(self.model, ledger, heard, NoCheckpointer())
        self.score = ledger.close()
        self.losses, self.curve = reader.seen, heard.curve
        assert isinstance(self.score, Score)
        assert len(self.losses) == len(tokens) - 1

    @property
    def table(self) -> Tensor:
        return self.model.extra_embedding.weight.detach()

    def changed(self) -> set[str]:
        after = self.model.state_dict()
        return {key for key, tensor in self.before.items() if not torch.equal(tensor, after[key])}


@pytest.fixture(scope="module")
def base() -> Run:
    return Run()


# Legality


@pytest.mark.parametrize("last", [1, 40, 127, 128, 129, 144, 255, 256, 300, 512, 530, 599])
def test_a_loss_depends_on_no_later_token(base, last):
    """Conditions 1 and 3: change every token after `last`, and no loss up to it changes by a single bit."""
    tokens = TOKENS.copy()
    tokens[last + 1 :] = (tokens[last + 1 :] + 1 + np.arange(len(tokens) - last - 1) % 100) % 128
    other = Run(tokens)
    assert torch.equal(other.losses[:last], base.losses[:last])
    assert not torch.equal(other.losses[last:], base.losses[last:])
    for (chunk, ours), (_, theirs) in zip(base.curve, other.curve, strict=True):
        if (chunk + 1) * CHUNK + 32 <= last:  # the running score of chunks that end before
            assert ours == theirs


def test_what_was_scored_does_change_later_losses(base):
    """The counterpart: training reaches the chunks after it, and only those."""
    still = Run(lr=0.0)
    scored = base.trained_on[0][0]
    assert CHUNK <= scored < CHUNK + 16
    torch.testing.assert_close(base.losses[:scored], still.losses[:scored], rtol=0, atol=0)
    assert ((base.losses[scored:] - still.losses[scored:]).abs() > 1e-6).float().mean() > 0.95


@pytest.mark.parametrize(("stride", "chunk_tokens"), [(16, 128), (32, 128), (1, 64), (24, 100), (32, 33)])
def test_everything_trained_on_was_scored_before(stride, chunk_tokens):
    run = Run(TOKENS[:257], stride, chunk_tokens=chunk_tokens, epochs=2)
    texts = TOKENS.astype(np.int64)
    for scored, batch in run.trained_on:
        for row in batch:
            places = [i for i in range(257 - SEQ_LEN) if np.array_equal(texts[i : i + SEQ_LEN + 1], row.numpy())]
            assert len(places) == 1
            assert places[0] + SEQ_LEN <= scored  # its last target too


# What is trained on


def sequences(chunk: int, chunk_tokens: int) -> list[list[int]]:
    end = min((chunk + 1) * chunk_tokens, len(TOKENS) - 1)
    starts = range(chunk * chunk_tokens, end - SEQ_LEN + 1, SEQ_LEN)
    return [TOKENS[start : start + SEQ_LEN + 1].tolist() for start in starts]


@pytest.mark.parametrize(
    ("chunk_tokens", "batch_seqs", "epochs"), [(128, 32, 1), (128, 3, 2), (128, 1, 1), (150, 4, 3), (128, 4, 0)]
)
def test_trains_on_whole_sequences_in_order_except_last_chunk(chunk_tokens, batch_seqs, epochs):
    expected = []
    for chunk in range(math.ceil(600 / chunk_tokens) - 1):
        rows = sequences(chunk, chunk_tokens)
        assert len(rows) == chunk_tokens // SEQ_LEN
        batches = [rows[first : first + batch_seqs] for first in range(0, len(rows), batch_seqs)]
        expected += batches * epochs
    run = Run(chunk_tokens=chunk_tokens, batch_seqs=batch_seqs, epochs=epochs)
    assert [batch.tolist() for _, batch in run.trained_on] == expected


def test_each_batch_is_one_step():
    """A chunk in four steps is not the chunk in one: the rate counts for each."""
    one, four = (Run(TOKENS[:161], batch_seqs=n, momentum=0.0, grad_clip=1e9, lr=0.001) for n in (4, 1))
    moved = [run.model.skip_weights.detach() - run.before["skip_weights"] for run in (one, four)]
    assert 3 < (moved[1].norm() / moved[0].norm()).item() < 5


def test_one_chunk_trains_nothing():
    run = Run(TOKENS[: CHUNK + 1])
    assert run.trained_on == []
    assert run.changed() == set()
    assert not run.table.any()
    assert [step for step, _ in run.curve] == [0]


def test_a_chunk_without_windows_is_passed_over():
    """Of 122 targets in chunks of 40, the last two are scored by a window of the third chunk."""
    run = Run(TOKENS[:123], stride=32, chunk_tokens=40)
    assert [step for step, _ in run.curve] == [0, 1, 2]
    assert [values["lr"] for _, values in run.curve] == pytest.approx([0.05, 0.05 * 0.75, 0.05 * 0.25])  # of four
    assert [scored for scored, _ in run.trained_on] == [64, 96, 122]


# Rates and scores


def test_rates_fall_along_a_cosine(base):
    assert [step for step, _ in base.curve] == list(range(5))
    rates = [values["lr"] for _, values in base.curve]
    assert rates == pytest.approx([0.05 * (1 + math.cos(math.pi * chunk / 4)) / 2 for chunk in range(5)])
    assert (rates[0], rates[-1]) == (0.05, 0.0)


def test_the_rates_emitted_are_those_used():
    """Without momentum, a step is rate × gradient: the second chunk's, at half the rate, moves half as far."""
    tokens = np.concatenate([TOKENS[:CHUNK]] * 3)[: 2 * CHUNK + 65]  # the same chunk twice: nearly one gradient
    run_to = {n: Run(tokens[: n * CHUNK + 33], lr=1e-4, momentum=0.0, grad_clip=1e9, hash_embed=False) for n in (1, 2)}
    first = run_to[1].model.skip_weights.detach() - run_to[1].before["skip_weights"]
    both = run_to[2].model.skip_weights.detach() - run_to[2].before["skip_weights"]
    assert run_to[2].curve[1][1]["lr"] == pytest.approx(0.5e-4)
    assert (both.norm() / first.norm()).item() == pytest.approx(1.5, abs=0.05)


def test_running_score(base):
    scored = [scored for scored, _ in base.trained_on] + [600]
    for (_, values), done in zip(base.curve, scored, strict=True):
        mean = base.losses[:done].double().mean().item()
        assert values["val_loss"] == pytest.approx(mean, rel=1e-12)
        assert values["val_bpb"] == pytest.approx(mean / math.log(2), rel=1e-12)  # every token is one byte
    assert base.score == Score(values["val_loss"], values["val_bpb"])


def test_no_epochs_is_the_sliding_score():
    evaluation = Sliding(stride=16, batch_tokens=256, logits_dtype="float32", probes=0)
    expected = score_all(evaluation.sliding(stream_of(TOKENS), SEQ_LEN), golden.model(), "", Listener())
    run = Run(epochs=0)
    assert run.score.val_loss == pytest.approx(expected.val_loss, rel=1e-6)
    assert run.score.val_bpb == pytest.approx(expected.val_bpb, rel=1e-6)
    assert run.changed() == set()


# Parameters


def test_all_parameters_are_trained(base):
    assert base.changed() == set(base.before)
    assert base.table.any()


@pytest.mark.parametrize("freeze_blocks", [1, 4, 6])
def test_frozen_blocks(freeze_blocks):
    frozen = {key for key in golden.model().state_dict() if key.startswith("blocks.") and int(key[7]) < freeze_blocks}
    run = Run(freeze_blocks=freeze_blocks)
    assert run.changed() == set(run.before) - frozen
    assert {"tok_emb.weight", "skip_weights", "skip_gates"} <= run.changed()
    assert run.table.any()


def test_recurrent_blocks_alone():
    run = Run(parameters="recurrent")
    assert run.changed() == {key for key in run.before if key.startswith(("blocks.2.", "blocks.3."))}
    assert not run.table.any()


def test_the_table_learns_at_its_own_rate():
    """After one step of SGD: twice the scale, twice the table, and all else the same."""
    one, two, ten = (Run(TOKENS[: CHUNK + 33], hash_lr_scale=scale) for scale in (1.0, 2.0, 10.0))
    assert len(one.trained_on) == 1
    assert one.table.any()
    assert torch.equal(two.table, 2 * one.table)
    torch.testing.assert_close(ten.table, 10 * one.table)
    for key, tensor in one.model.state_dict().items():
        if not key.startswith("extra_embedding"):
            assert torch.equal(tensor, two.model.state_dict()[key]), key


def test_only_rows_of_pairs_that_were_trained_on_are_moved():
    run = Run(TOKENS[: CHUNK + 33])
    rows = {
        (previous * 2039 + current) % 256
        for sequence in sequences(0, CHUNK)
        for previous, current in zip([sequence[0], *sequence[:-2]], sequence[:-1], strict=True)
    }
    assert set(run.table.any(1).nonzero().flatten().tolist()) == rows


def test_the_table_is_off():
    run = Run(hash_embed=False)
    assert run.model.extra_embedding is None
    assert run.changed() == set(run.before)


def test_gradients_are_clipped_together_with_the_table():
    """One step of plain SGD at rate 1 moves all that is trained by the clipping norm."""
    run = Run(TOKENS[: CHUNK + 33], lr=1.0, grad_clip=0.01)
    after = run.model.state_dict()
    moved = torch.cat([(after[key] - tensor).flatten() for key, tensor in run.before.items()] + [run.table.flatten()])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


# Errors


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"freeze_blocks": 7}, "ttt.freeze_blocks=7: the model has 6 blocks"),
        ({"chunk_tokens": 31}, "ttt.chunk_tokens=31 is below model.seq_len=32"),
    ],
)
def test_values_that_cannot_work(changes, culprit):
    with pytest.raises(UserError, match=culprit):
        ttt(**changes).check(golden.model())


def test_recurrent_blocks_of_a_model_without_recurrence():
    model = build(config()["model"] | {"num_loops": 0})
    with pytest.raises(UserError, match=r"ttt\.parameters=recurrent needs a model with recurrence"):
        ttt(parameters="recurrent").check(model)


def test_values_that_can_work():
    ttt(freeze_blocks=6, chunk_tokens=32).check(golden.model())
    ttt(parameters="recurrent").check(golden.model())
