"""Against values worked out by hand, and against what has to hold for any scores."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golf.report.baseline import RECORD, read_baseline
from golf.report.statistics import gain, paired, spread

scores = st.floats(0.5, 3.0)
by_seed = st.dictionaries(st.integers(0, 9), scores, min_size=2, max_size=8)


def test_spread_is_the_records():
    found = spread(read_baseline(RECORD).scores)
    assert (found.seeds, round(found.mean, 5), round(found.std, 5)) == (3, 1.08269, 0.00061)
    assert spread([1.5]).std is None


def test_paired_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1/√3, t = 2√3 with 2 degrees of freedom, for which the distribution
    # has a closed form: p = 1 − t/√(2 + t²), and 97.5 % lie below 4.302653.
    found = paired({1: 2.0, 2: 4.0, 3: 6.0, 4: 9.0}, {1: 1.0, 2: 2.0, 3: 3.0, 5: 0.0})
    t = 2 * math.sqrt(3)
    assert (found.seeds, found.mean) == (3, 2.0)
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert (found.low, found.high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), 1e-6)


def test_paired_where_there_is_no_test():
    assert paired({1: 1.0}, {2: 1.0}) is None
    for ours, theirs in (({1: 2.0}, {1: 1.5}), ({1: 2.0, 2: 3.0}, {1: 1.5, 2: 2.5})):
        found = paired(ours, theirs)
        assert (found.mean, found.low, found.high, found.p) == (0.5, None, None, None)


@given(by_seed, by_seed)
def test_paired_is_antisymmetric(one, other):
    there, back = paired(one, other), paired(other, one)
    if there is None:
        assert back is None
        return
    assert there.mean == -back.mean
    if there.low is not None:
        assert (there.low, there.high, there.p) == pytest.approx((-back.high, -back.low, back.p))
        assert there.low <= there.mean <= there.high


def test_gain_by_hand():
    # Means 1 and 0, variances 1 and 1, three each: standard error √(2/3), and 4 degrees of freedom by Welch's formula;
    # with a margin of 0.5 t = 0.5/√(2/3), and the distribution of 4 degrees has a closed form too.
    found = gain([0.0, 1.0, 2.0], [-1.0, 0.0, 1.0], margin=0.5)
    t = 0.5 / math.sqrt(2 / 3)
    x = t / math.sqrt(4 + t * t)
    assert found.mean == 1.0
    assert found.p == pytest.approx(0.5 - (x * 3 / 2 * (1 - x * x / 3)) / 2)


@pytest.mark.filterwarnings("ignore:Precision loss")  # scores that are nearly the same
@given(st.lists(scores, min_size=2, max_size=6), st.lists(scores, min_size=2, max_size=6))
def test_a_larger_margin_is_harder_to_beat(old, new):
    easy, hard = gain(old, new, 0.0), gain(old, new, 0.1)
    assert easy.mean == hard.mean
    if easy.p is not None:
        assert easy.p <= hard.p


def test_one_seed_beats_nobody():
    assert gain([1.0, 1.1], [0.5], 0.0).p is None


def test_the_margin_is_the_challenges():
    assert read_baseline(RECORD).margin == pytest.approx(0.00194, abs=5e-7)
