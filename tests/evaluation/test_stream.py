"""The score of a stream against a computation by loops."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from golf.data.tokenizer import ByteTable
from golf.evaluation.stream import Stream, Tally, unigram

VOCABULARY = 5
TABLE = ByteTable(
    base_bytes=np.array([0, 1, 3, 2, 7], np.int16),
    has_leading_space=np.array([False, False, True, True, False]),
    is_boundary=np.array([True, False, False, False, False]),
)

tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=60)


def stream_of(ids: list[int]) -> Stream:
    return Stream.of(np.array(ids, np.uint16), TABLE, torch.device("cpu"))


def bytes_by_hand(ids: list[int]) -> list[int]:
    """Spec: Evaluation: a leading space counts unless the token before is no text."""
    base, space = [0, 1, 3, 2, 7], [0, 0, 1, 1, 0]
    return [base[target] + (space[target] if previous != 0 else 0) for previous, target in pairwise(ids)]


# Stream


@given(tokens)
def test_inputs_and_targets(ids):
    stream = stream_of(ids)
    assert stream.num_targets == len(ids) - 1
    assert stream.tokens.tolist() == ids
    assert stream.target_bytes.tolist() == bytes_by_hand(ids)


@given(tokens, st.lists(st.integers(0, 70), min_size=1, max_size=4), st.integers(1, 20))
def test_sequences_repeat_the_last_token_past_the_end(ids, starts, length):
    inputs, targets = stream_of(ids).sequences(np.array(starts), length)
    assert inputs.shape == targets.shape == (len(starts), length)
    for row, start in enumerate(starts):
        padded = [ids[min(start + i, len(ids) - 1)] for i in range(length + 1)]
        assert inputs[row].tolist() == padded[:-1]
        assert targets[row].tolist() == padded[1:]


# Scores


@given(tokens.filter(lambda ids: sum(bytes_by_hand(ids)) > 0), st.data())
def test_tally(ids, data):
    stream = stream_of(ids)
    tally = Tally(stream)
    nats = data.draw(st.lists(st.floats(0, 20, width=32), min_size=len(ids) - 1, max_size=len(ids) - 1))
    done = 0
    while done < len(nats):
        step = data.draw(st.integers(1, len(nats) - done))
        tally.add(sum(nats[done : done + step]), step)
        done += step
        size = sum(bytes_by_hand(ids)[:done])
        assert (tally.targets, tally.bytes) == (done, size)
        assert tally.nats == pytest.approx(sum(nats[:done]))
        if size:
            score, mean = tally.score(), sum(nats[:done]) / done
            assert score.val_loss == pytest.approx(mean)
            assert score.val_bpb == pytest.approx(mean / math.log(2) * done / size)


def test_a_uniform_model_over_bytes_has_eight_bits_per_byte():
    stream = stream_of([1] * 101)  # every token is one byte
    tally = Tally(stream)
    tally.add(100 * math.log(256), 100)
    assert tally.score().val_bpb == pytest.approx(8)


@given(tokens.filter(lambda ids: sum(bytes_by_hand(ids)) > 0))
def test_unigram_is_the_entropy_of_the_targets(ids):
    targets, size = ids[1:], sum(bytes_by_hand(ids))
    counts = Counter(targets)
    nats = sum(-math.log(counts[target] / len(targets)) for target in targets)
    score = unigram(stream_of(ids))
    assert score.val_loss == pytest.approx(nats / len(targets), abs=1e-9)
    assert score.val_bpb == pytest.approx(nats / math.log(2) / size, abs=1e-9)


def test_no_unigram_model_is_better_than_unigram():
    ids = np.random.default_rng(0).choice(VOCABULARY, size=400, p=[0.05, 0.4, 0.3, 0.2, 0.05]).tolist()
    stream = stream_of(ids)
    for seed in range(5):
        probabilities = torch.softmax(torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(seed)), 0)
        tally = Tally(stream)
        tally.add(-probabilities.log()[stream.tokens[1:]].sum().item(), stream.num_targets)
        assert tally.score().val_bpb > unigram(stream).val_bpb
