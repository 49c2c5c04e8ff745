"""Means, paired differences and the challenge's test, by scipy."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
ROUNDING = 1e-9  # closer values count as equal; testing them would test the rounding


@dataclass(frozen=True)
class Spread:
    """Of one value per seed. std: sample standard deviation; None for one seed."""

    seeds: int
    mean: float
    std: float | None


@dataclass(frozen=True)
class Difference:
    """Variant minus reference over the `seeds` that both have, paired by seed.

    low, high: 95 % confidence interval of the mean. p: two-sided paired t-test. None with fewer than two seeds or if
    all differences are equal.
    """

    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class Gain:
    """Baseline's mean minus the mean, and p of Welch's one-sided test that this exceeds the margin."""

    mean: float
    p: float | None


def spread(values: Collection[float]) -> Spread:
    array = np.array(list(values), dtype=np.float64)
    return Spread(len(array), float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None)


def paired(variant: Mapping[int, float], reference: Mapping[int, float]) -> Difference | None:
    """The paired difference of values by seed; None if no seed is in both."""
    seeds = sorted(variant.keys() & reference.keys())
    if not seeds:
        return None
    ours, theirs = (np.array([values[seed] for seed in seeds], dtype=np.float64) for values in (variant, reference))
    difference = ours - theirs
    mean = float(difference.mean())
    if len(seeds) < 2 or np.ptp(difference) < ROUNDING:
        return Difference(len(seeds), mean, None, None, None)
    test = stats.ttest_rel(ours, theirs)
    interval = test.confidence_interval(CONFIDENCE)
    return Difference(len(seeds), mean, float(interval.low), float(interval.high), float(test.pvalue))


def gain(old: Collection[float], new: Collection[float], margin: float) -> Gain:
    """Scores of which less is better; the test needs two of each, and a spread."""
    before, after = (np.array(list(values), dtype=np.float64) for values in (old, new))
    mean = float(before.mean() - after.mean())
    if min(len(before), len(after)) < 2 or max(np.ptp(before), np.ptp(after)) < ROUNDING:
        return Gain(mean, None)
    test = stats.ttest_ind(before - margin, after, equal_var=False, alternative="greater")
    return Gain(mean, float(test.pvalue))
