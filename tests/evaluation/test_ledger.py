"""The ledger: each target scored once, in order, nothing handed out before; and strategies that cheat."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from golf.data.tokenizer import ByteTable
from golf.evaluation.ledger import IllegalScore, Ledger
from golf.evaluation.probe import ProbeAt
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Stream
from golf.evaluation.windows import Windows, sliding_windows
from golf.events import Listener
from golf.resume.checkpointer import NoCheckpointer
from golf.runtime import dist
from golf.ttt.strategy import NoTTT, Strategy

VOCABULARY, SEQ_LEN = 16, 8


class Recurrent(nn.Module):
    """A small causal model: what it expects of a token depends on all before it in the window."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.tok_emb = nn.Embedding(VOCABULARY, 4)
        self.tok_emb.weight.data = torch.randn(VOCABULARY, 4, generator=generator)
        self.seq_len = SEQ_LEN
        self.extra_embedding: Callable[[Tensor], Tensor] | None = None

    def hidden(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        x = self.tok_emb(ids)
        if self.extra_embedding is not None:
            x = x + self.extra_embedding(ids)
        x = x.cumsum(1) / torch.arange(1, ids.size(1) + 1)[:, None]
        return x if positions is None else x.flatten(0, 1)[positions]

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.tok_emb.weight.T


def stream_of(num_targets: int) -> Stream:
    tokens = np.random.default_rng(num_targets).integers(VOCABULARY, size=num_targets + 1).astype(np.uint16)
    no = np.zeros(VOCABULARY, bool)
    return Stream.of(tokens, ByteTable(np.ones(VOCABULARY, np.int16), no, no), torch.device("cpu"))


def ledger_of(
    num_targets: int,
    stride: int = 4,
    reader: Reader | None = None,
    seq_len: int = SEQ_LEN,
    stream: Stream | None = None,
) -> Ledger:
    reader = reader or Reader(batch_tokens=32, logits_dtype=torch.float32)
    windows = sliding_windows(num_targets, seq_len, stride)
    return Ledger(stream or stream_of(num_targets), windows, reader, ProbeAt(4, num_targets))


class Losses(Reader):
    """Remembers the positions that it was asked for, of the stream itself and not of a part that is probed."""

    def __init__(self, whole: Stream) -> None:
        super().__init__(batch_tokens=32, logits_dtype=torch.float32)
        object.__setattr__(self, "whole", whole)
        object.__setattr__(self, "seen", [])

    def losses(self, model, stream: Stream, windows: Windows) -> Iterator[Tensor]:
        if stream is self.whole:
            self.seen.extend(
                p for first, end in zip(windows.first, windows.end, strict=True) for p in range(first, end)
            )
        yield from super().losses(model, stream, windows)


# Honest


@given(st.integers(1, 12), st.data())
def test_targets_are_scored_once_and_not_handed_out_before(seq_len, data):
    num_targets, stride = data.draw(st.integers(seq_len + 1, 120)), data.draw(st.integers(1, seq_len))
    stream = stream_of(num_targets)
    reader = Losses(stream)
    ledger, model = ledger_of(num_targets, stride, reader, seq_len, stream), Recurrent()
    done = 0
    while done < len(ledger.windows):
        step = data.draw(st.integers(1, len(ledger.windows) - done))
        ledger.score(model, ledger.windows[done : done + step])
        done += step
        start, length = data.draw(st.integers(0, num_targets)), data.draw(st.integers(1, seq_len))
        if start + length <= ledger.scored:
            ids, targets = ledger.sequences(np.array([start]), length)
            assert ids.shape == targets.shape == (1, length)
        else:
            with pytest.raises(IllegalScore, match=r"condition 3, .*but only \d+ targets are scored"):
                ledger.sequences(np.array([0, start]), length)
    assert reader.seen == list(range(num_targets))
    whole = Reader(10_000, torch.float32)
    every = torch.cat(list(whole.losses(model, stream_of(num_targets), ledger.windows)))
    assert ledger.close().val_loss == pytest.approx(every.double().mean().item(), rel=1e-6)
    assert ledger.facts()["targets"] == num_targets
    assert ledger.facts()["probed"] == 4
    assert ledger.facts()["handed_out"] <= num_targets


@given(st.integers(0, 50), st.integers(1, 9))
def test_the_ranks_share_windows_without_a_gap(count, ranks):
    with pytest.MonkeyPatch.context() as patch:
        shares = []
        patch.setattr(dist, "world_size", lambda: ranks)
        for rank in range(ranks):
            patch.setattr(dist, "rank", lambda rank=rank: rank)
            shares += list(range(count))[dist.share(count)]
    assert shares == list(range(count))


def test_no_strategy_scores_nothing():
    ledger = ledger_of(50)
    NoTTT().adapt(Recurrent(), ledger, Listener(), NoCheckpointer())
    assert ledger.close() is None


# Cheats


class Cheat(Strategy):
    """Scores window by window; `do` cheats before the window numbered `at`."""

    def __init__(self, do: Callable[[nn.Module, Ledger], None], at: int = 3):
        self.do, self.at = do, at

    def check(self, model) -> None: ...

    def adapt(self, model, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        for i in range(len(ledger.windows)):
            if i == self.at:
                self.do(model, ledger)
            ledger.score(model, ledger.windows[i : i + 1])


def train_first(model, ledger: Ledger) -> None:
    ids, targets = ledger.sequences(np.array([ledger.scored - 3]), 4)
    F.cross_entropy(model.logits(model.hidden(ids)).flatten(0, 1), targets.flatten()).backward()


def score_twice(model, ledger: Ledger) -> None:
    ledger.score(model, ledger.windows[1:2])


def start_again(model, ledger: Ledger) -> None:
    ledger.score(model, ledger.windows)


def skip(model, ledger: Ledger) -> None:
    ledger.score(model, ledger.windows[4:5])


def score_less(model, ledger: Ledger) -> None:
    w = ledger.windows[3:5]
    ledger.score(model, Windows(w.start, w.first + np.array([0, 1]), w.end, w.seq_len))


def score_what_no_window_reads(model, ledger: Ledger) -> None:
    w = ledger.windows[3:4]
    ledger.score(model, Windows(w.start, w.first, w.end + 1, w.seq_len))


def score_beyond(model, ledger: Ledger) -> None:
    ledger.score(model, Windows(np.array([16]), np.array([16]), np.array([ledger.num_targets + 1]), 100))


def train_on_several(model, ledger: Ledger) -> None:
    ledger.sequences(np.array([24, 8, 14, 32]), 4)


def train_where_an_end_wraps_around(model, ledger: Ledger) -> None:
    ledger.sequences(np.array([14], np.int8), 120)


def train_before_the_stream(model, ledger: Ledger) -> None:
    ledger.sequences(np.array([-1]), 4)


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (train_first, "condition 3, score before update: training asks for the target at 16"),
        (score_twice, "condition 4, one pass from left to right: the target at 8 is scored twice"),
        (start_again, r"condition 4, .*: the target at 0 is scored twice"),
        (skip, r"condition 4, .*: the targets from 16 are skipped"),
        (score_less, r"condition 4, .*: the targets from 20 are skipped"),
        (score_what_no_window_reads, r"condition 4, .*8 tokens from 12 cannot score the targets from 16 to 20"),
        (score_beyond, r"condition 4, .*100 tokens from 16 cannot score the targets from 16 to 50 of 50"),
        (train_on_several, "condition 3, score before update: training asks for the target at 16"),
        (train_where_an_end_wraps_around, "condition 3, score before update: training asks for the target at 16"),
        (train_before_the_stream, r"condition 4, .*: a sequence starts at -1, before the stream"),
    ],
)
def test_a_cheat_is_caught_at_once(do, told):
    with pytest.raises(IllegalScore, match=told):
        Cheat(do).adapt(Recurrent(), ledger_of(50), Listener(), NoCheckpointer())


def try_what_passes(model, ledger: Ledger) -> None:
    """Scores with a model that peeks wherever nobody notices."""
    honest = model.hidden
    look_at_all(model, ledger)
    for i in range(len(ledger.windows)):
        peeking = model.hidden
        try:
            ledger.score(model, ledger.windows[i : i + 1])
        except IllegalScore:
            model.hidden = honest
            ledger.score(model, ledger.windows[i : i + 1])
            model.hidden = peeking
    ledger.close()


def test_a_cheat_that_goes_on_has_no_score():
    ledger = ledger_of(50)
    with pytest.raises(IllegalScore, match="condition 1"):
        try_what_passes(Recurrent(), ledger)


def test_no_windows_score_nothing():
    ledger = ledger_of(50)
    ledger.score(Recurrent(), ledger.windows[:0])
    assert ledger.scored == 0
    assert ledger.close() is None


def test_the_stream_cannot_be_made_shorter():
    ledger = ledger_of(50)
    with pytest.raises(AttributeError):
        ledger.num_targets = 16


def test_a_stream_that_was_not_scored_to_its_end_has_no_score():
    ledger = ledger_of(50)
    ledger.score(Recurrent(), ledger.windows[:3])
    with pytest.raises(IllegalScore, match=r"condition 4, .*: the targets from 16 on were never scored"):
        ledger.close()


def peek_in_the_embedding(model, ledger: Ledger) -> None:
    """A "hash embedding" over the token and the next one."""
    model.extra_embedding = lambda ids: model.tok_emb(torch.cat([ids[:, 1:], ids[:, -1:]], 1))


def look_at_all(model, ledger: Ledger) -> None:
    def hidden(ids: Tensor, positions: Tensor) -> Tensor:
        return model.tok_emb(ids).mean(1, keepdim=True).expand(-1, ids.size(1), -1).flatten(0, 1)[positions]

    model.hidden = hidden


def look_at_other_windows(model, ledger: Ledger) -> None:
    """What the windows that are read together have in common, as of normalisation over a batch: some read later."""
    hidden = model.hidden
    model.hidden = lambda ids, positions: (hidden(ids) - hidden(ids).mean(0, keepdim=True)).flatten(0, 1)[positions]


def hide_behind_what_is_no_number(model, ledger: Ledger) -> None:
    """Looks at all, and spoils the losses that no window but the first scores."""
    look_at_all(model, ledger)
    peeking = model.hidden
    model.hidden = lambda ids, positions: torch.where(
        positions[:, None] % ids.size(1) == 0, math.nan, peeking(ids, positions)
    )


def give_no_number_for_what_is_changed(model, ledger: Ledger) -> None:
    """Knows the text, and says nothing of any other."""
    hidden, text = model.hidden, ledger._stream.tokens

    def cheat(ids: Tensor, positions: Tensor) -> Tensor:
        known = torch.tensor([(text.unfold(0, ids.size(1), 1) == row).all(1).any().item() for row in ids])
        return torch.where(known[positions // ids.size(1), None], hidden(ids, positions), math.nan)

    model.hidden = cheat


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (look_at_all, r"condition 1, .*: the loss at \d+ moves when the tokens after \d+ are changed"),
        (give_no_number_for_what_is_changed, r"condition 1, .*: the loss at \d+ moves when the tokens after"),
        (peek_in_the_embedding, r"condition 2, .* does not depend on the target: at \d+ it is off by"),
    ],
)
@pytest.mark.parametrize("at", [0, 5])
def test_peeking_at_the_target_is_caught(do, told, at):
    ledger = ledger_of(50)
    with pytest.raises(IllegalScore, match=told):
        Cheat(do, at).adapt(Recurrent(), ledger, Listener(), NoCheckpointer())
    assert ledger.scored < 50


def test_windows_may_reach_back_further_than_those_before_them():
    longer = Windows(np.array([0, 24, 16]), np.array([0, 28, 32]), np.array([28, 32, 50]), 40)
    ledger = ledger_of(50, seq_len=40)
    ledger.score(Recurrent(), longer)
    assert ledger.facts()["probed"] == 4


def test_looking_at_windows_that_are_read_together_is_caught():
    ledger, model = ledger_of(50), Recurrent()
    look_at_other_windows(model, ledger)
    with pytest.raises(IllegalScore, match=r"condition 1, .*: the loss at \d+ moves"):
        ledger.score(model, ledger.windows)


def test_a_model_cannot_hide_behind_losses_that_are_not_scored():
    with pytest.raises(IllegalScore, match="condition 1"):
        Cheat(hide_behind_what_is_no_number).adapt(Recurrent(), ledger_of(50), Listener(), NoCheckpointer())


class Sharpened(Reader):
    """Divides what the right word costs, and that alone."""

    def nats(self, logits: Tensor, targets: Tensor) -> Tensor:
        return 0.9 * super().nats(logits, targets)


class Unnormalised(Reader):
    def nats(self, logits: Tensor, targets: Tensor) -> Tensor:
        return -logits.gather(1, targets[:, None])[:, 0]


class Told(Reader):
    """The loss of a window's targets is not that of its distributions."""

    def losses(self, model, stream: Stream, windows: Windows) -> Iterator[Tensor]:
        for losses in super().losses(model, stream, windows):
            yield 0.5 * losses


@pytest.mark.parametrize("reader", [Sharpened, Unnormalised, Told])
def test_what_is_no_distribution_is_caught(reader):
    with pytest.raises(IllegalScore, match=r"condition 2, .*: at \d+ it is off by"):
        Cheat(lambda model, ledger: None).adapt(
            Recurrent(), ledger_of(50, reader=reader(32, torch.float32)), Listener(), NoCheckpointer()
        )


def test_what_a_probe_found_is_told():
    ledger = ledger_of(50)
    ledger.score(Recurrent(), ledger.windows)
    facts = ledger.facts()
    assert (facts["probed"], facts["causality"]) == (4, 0.0)
    assert 0 < facts["normalisation"] < 1e-5


@given(st.integers(1, 9), st.integers(9, 200))
def test_probes_spread_over_the_stream(count, num_targets):
    places = ProbeAt(count, num_targets).places
    assert len(places) == count
    assert places == sorted(places)
    assert places[0] >= 0
    assert places[-1] < num_targets
    gaps = np.diff([-places[0], *places])
    assert gaps.max(initial=0) - gaps.min(initial=num_targets) <= math.ceil(num_targets / count)


def test_a_probe_leaves_the_model_as_it_was():
    model = Recurrent()
    before = model.tok_emb.weight.clone()
    ledger = ledger_of(50)
    ledger.score(model, ledger.windows)
    assert torch.equal(model.tok_emb.weight, before)
    assert model.tok_emb.weight.grad is None
