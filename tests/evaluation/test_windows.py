"""Windows over the validation stream: each target once, in order, with enough context; and reading them."""

import golden
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from golf.data.tokenizer import ByteTable
from golf.errors import UserError
from golf.evaluation.reader import Reader
from golf.evaluation.score_all import score_all
from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Score, Stream
from golf.evaluation.windows import sliding_windows
from golf.events import Listener

sizes = st.integers(1, 40).flatmap(
    lambda seq_len: st.tuples(st.integers(1, 300), st.just(seq_len), st.integers(1, seq_len))
)


def sliding(**changes) -> Sliding:
    return Sliding(**{"stride": 8, "batch_tokens": 128, "logits_dtype": "float32", "probes": 0} | changes)


# Windows


@given(sizes)
def test_every_target_is_scored_once_and_in_order(size):
    num_targets, seq_len, stride = size
    windows = sliding_windows(num_targets, seq_len, stride)
    scored = [t for first, end in zip(windows.first, windows.end, strict=True) for t in range(first, end)]
    assert scored == list(range(num_targets))


@given(sizes)
def test_windows_start_every_stride_while_targets_are_left(size):
    """Spec: Evaluation, word for word; and what a window reads is all it scores."""
    num_targets, seq_len, stride = size
    windows = sliding_windows(num_targets, seq_len, stride)
    starts = [0] + [s for s in range(stride, num_targets, stride) if s + seq_len - stride < num_targets]
    assert windows.start.tolist() == starts
    assert len(windows) == len(starts)
    assert windows.seq_len == seq_len
    assert (windows.end - windows.start <= seq_len).all()
    assert windows.first[0] == 0
    assert (windows.first[1:] - windows.start[1:] == seq_len - stride).all()  # the context of what it scores
    assert (windows.end[:-1] - windows.start[:-1] == seq_len).all()  # only the last is cut short


@given(st.integers(1, 300), st.integers(1, 40))
def test_stride_of_a_sequence_is_plain(num_targets, seq_len):
    windows = sliding_windows(num_targets, seq_len, seq_len)
    assert windows.start.tolist() == windows.first.tolist() == list(range(0, num_targets, seq_len))


def test_the_records_windows():
    windows = sliding_windows(40_540_160, 2048, 64)
    assert len(windows) == 1 + (40_540_160 - 2048) // 64
    assert (windows.start[1], windows.first[1], windows.end[0], windows.end[1]) == (64, 2048, 2048, 2112)
    assert windows.end[-1] == 40_540_160


@given(sizes, st.integers(1, 9))
def test_slices_are_the_windows_themselves(size, at_once):
    windows = sliding_windows(*size)
    parts = [windows[begin : begin + at_once] for begin in range(0, len(windows), at_once)]
    for field in ("start", "first", "end"):
        assert np.concatenate([getattr(part, field) for part in parts]).tolist() == getattr(windows, field).tolist()


@pytest.mark.parametrize("stride", [0, -1, 33])
def test_a_stride_that_leaves_gaps(stride):
    with pytest.raises(UserError, match=f"evaluation.stride={stride} .*model.seq_len=32"):
        sliding(stride=stride).windows(100, 32)


# Reading them with the golden model: sequences of 32


@pytest.fixture(scope="module")
def stream() -> Stream:
    ones, no = np.ones(128, np.int16), np.zeros(128, bool)
    tokens = np.random.default_rng(0).integers(128, size=204).astype(np.uint16)
    return Stream.of(tokens, ByteTable(ones, no, no), torch.device("cpu"))


def losses(stream: Stream, **changes) -> torch.Tensor:
    evaluation, model = sliding(**changes), golden.model()
    windows = evaluation.windows(stream.num_targets, model.seq_len)
    return torch.cat(list(Reader(evaluation.batch_tokens, torch.float32).losses(model, stream, windows)))


def score(open_ledger, stream: Stream) -> Score:
    return score_all(open_ledger(stream, 32), golden.model(), "", Listener())


@torch.no_grad()
def test_losses_are_those_of_each_window_alone(stream):
    model = golden.model()
    expected = []
    for window in range(0, 203 - 24, 8):
        ids = stream.tokens[window : window + 32]  # the last is cut short
        logits = model.logits(model.hidden(ids[None]))[0]
        targets = stream.tokens[window + 1 : window + 33]
        logits = logits[: len(targets)]
        nats = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        expected.append(nats if window == 0 else nats[24:])
    torch.testing.assert_close(losses(stream), torch.cat(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 32, 96, 100_000])
def test_batches_do_not_change_the_losses(stream, batch_tokens):
    torch.testing.assert_close(losses(stream, batch_tokens=batch_tokens), losses(stream), rtol=0, atol=1e-4)


def test_rounded_logits_are_the_sliding_windows_alone(stream):
    rounded, exact = sliding(logits_dtype="bfloat16"), sliding()
    assert score(rounded.plain, stream) == score(exact.plain, stream)
    a, b = (score(each.sliding, stream).val_loss for each in (rounded, exact))
    assert 1e-7 < abs(a - b) < 1e-2


def test_the_sum_is_that_of_the_losses(stream):
    """In float64: in float32 a running sum over a real stream would be off by far more than scores differ by."""
    mean = losses(stream, batch_tokens=32).double().mean().item()
    assert score(sliding(batch_tokens=32).sliding, stream).val_loss == pytest.approx(mean, rel=1e-12)


def test_sliding_by_whole_sequences_is_plain(stream):
    evaluation = sliding(stride=32)
    assert score(evaluation.sliding, stream) == score(evaluation.plain, stream)


def test_scoring_trains_nothing(stream):
    windows = sliding().windows(stream.num_targets, 32)
    for nats in Reader(64, torch.float32).losses(golden.model(), stream, windows):
        assert nats.grad_fn is None
        assert torch.is_grad_enabled()  # for whoever trains between two batches


@pytest.mark.parametrize("recurrent", [False, True])
@torch.no_grad()
def test_what_is_not_scored_changes_nothing(recurrent):
    """The last layer computes the wanted positions alone, and they are what they are among all."""
    model = golden.model()
    model.recurrent = recurrent
    ids = torch.from_numpy(golden.load("forward")["input_ids"])
    only = torch.tensor([0, 3, ids.size(1), ids.numel() - 1])
    whole = model.hidden(ids).flatten(0, 1)
    torch.testing.assert_close(model.hidden(ids, only), whole[only], rtol=0, atol=1e-5)


def test_positions_of_the_scored_targets():
    windows = sliding_windows(num_targets=45, seq_len=16, stride=6)
    expected = [
        i * 16 + target - start
        for i, (start, first, end) in enumerate(zip(windows.start, windows.first, windows.end, strict=True))
        for target in range(first, end)
    ]
    assert windows.positions().tolist() == expected
