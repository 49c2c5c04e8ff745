"""The loader against the record's order, and what holds for any shards."""

import golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.data.loader import Loader
from golf.errors import UserError

ORDER = golden.load("loader")


@pytest.mark.parametrize(("rank", "world_size"), [(0, 1), (0, 2), (1, 2)])
def test_record_order(rank, world_size):
    shards = [(np.arange(n) + 1000 * i) % 65536 for i, n in enumerate(ORDER["shard_lengths"])]
    loader = Loader(shards, int(ORDER["seq_len"]), None, "record", rank, world_size)
    for expected in ORDER[f"first_tokens_rank{rank}_of{world_size}"]:
        inputs, targets = loader.batch(len(expected))
        assert inputs[:, 0].tolist() == expected.tolist()
        assert (targets == inputs + 1).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(9, 120), min_size=1, max_size=4), st.integers(2, 8), st.integers(0, 99))
def test_a_round_reads_no_token_twice(lengths, seq_len, seed):
    offsets = np.cumsum([0, *lengths])
    loader = Loader([np.arange(n) + o for n, o in zip(lengths, offsets, strict=False)], seq_len, seed, "global")
    in_round = sum(len(shard.starts) for shard in loader.shards)
    inputs, _ = loader.batch(in_round)
    assert len(np.unique(inputs)) == in_round * seq_len


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(9, 60), min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9))
def test_the_global_order_is_dealt_to_the_ranks(lengths, world_size, sequences, turns):
    """Whatever their number, together they read what one would, batch after batch."""
    offsets = np.cumsum([0, *lengths])
    shards = [np.arange(n) + o for n, o in zip(lengths, offsets, strict=False)]
    one = Loader(shards, 4, 7, "global")
    ranks = [Loader(shards, 4, 7, "global", rank, world_size) for rank in range(world_size)]
    for _ in range(turns):
        for rank in ranks:
            dealt, expected = rank.batch(sequences), one.batch(sequences)
            assert all((a == b).all() for a, b in zip(dealt, expected, strict=True))


def test_one_rank_has_the_same_order_both_ways():
    shards = [np.arange(400), np.arange(300)]
    both = [Loader(shards, 8, 3, order).batch(40)[0] for order in ("global", "record")]
    assert (both[0] == both[1]).all()


def test_a_rank_without_shards():
    with pytest.raises(UserError, match=r"of rank 1 \(data.order=record deals 1 of them\)"):
        Loader([np.arange(400)], 8, 3, "record", 1, 2)


def test_seed_moves_the_order():
    shards = [np.arange(4000)]
    orders = {tuple(Loader(shards, 8, seed, "global").batch(16)[0][:, 0].tolist()) for seed in (None, 1, 2)}
    assert len(orders) == 3


def test_shards_without_a_sequence():
    with pytest.raises(UserError, match="8 \\+ 1 tokens"):
        Loader([np.arange(8)], 8, None, "global")
