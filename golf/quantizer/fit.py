"""Finds clips with which an artifact just fits its limit.

All clips are multiplied by one factor. The errors of all tensors, proportional to the square of the step, then change
by one factor too, so that their balance is kept; and one measured size determines the single unknown. The bytes depend
on the factor like the entropy of a Gaussian's codes: doubling the step saves one bit per code. The share of the codec
and of float16 values hardly changes.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import pairwise

from golf.kernels.rounding import largest_code

QUANTIZATIONS = 3
TOLERANCE = 0.001  # of the limit: close enough, another quantization would gain nothing
FINEST_CLIP = 4.0  # standard deviations: below, clipping costs more than the finer steps gain
COARSEST_STEP = 2.0  # standard deviations: two thirds of the codes are 0
GRID = 10_000  # factors are multiples of 1/GRID: from one to the next, a size changes by about TOLERANCE / 10 at most

Codes = Mapping[tuple[int, float], int]  # counts by width in bits and clip in standard deviations


def fit(measure: Callable[[float], int], codes: Codes, limit: int) -> float:
    """Of at most QUANTIZATIONS factors tried, the one with the largest size up to `limit`, or the smallest size if all
    exceed it.

    measure: returns the bytes of the artifact with all clips times a factor; the first is 1. Stops as soon as a size is
    within TOLERANCE of the limit, or no other sensible factor is left.

    Measured with brotli at quality 11 and with range: it ends at most 0.2 % below the limit if the first size is within
    2.5 % of it, and 0.7 % if within 20 %; artifacts below 100 kB respond less smoothly.
    """
    sizes: dict[float, int] = {}
    factor = 1.0
    while len(sizes) < QUANTIZATIONS and factor not in sizes:
        sizes[factor] = size = measure(factor)
        if (1 - TOLERANCE) * limit <= size <= limit:
            break
        factor = _next(sizes, codes, limit)
    allowed = [factor for factor, size in sizes.items() if size <= limit]
    return max(allowed, key=sizes.__getitem__) if allowed else min(sizes, key=sizes.__getitem__)


def _next(sizes: Mapping[float, int], codes: Codes, limit: int) -> float:
    """The next factor to try. Bytes change as much as the entropy, or by the ratio between the first two tries."""
    points = [(entropy_bytes(codes, factor), size) for factor, size in sizes.items()]
    entropy, size = points[-1]
    aim, slope, left = (1 - TOLERANCE / 2) * limit, 1.0, 0.1  # of the way: a codec may overshoot
    if len(points) == 2:
        slope = (size - points[0][1]) / (entropy - points[0][0])
        left = 0.25 if size <= limit else 1.0  # the last try
    way = aim - left * abs(aim - size) - size
    return factor_with(codes, entropy + way / min(max(slope, 0.5), 2.0))


def factor_with(codes: Codes, wanted: float) -> float:
    """The smallest sensible factor at which the entropy of the codes is at most `wanted` bytes, else the largest."""
    factors = sensible(codes)
    at = bisect_left(factors, -wanted, key=lambda factor: -entropy_bytes(codes, factor / GRID))
    return factors[min(at, len(factors) - 1)] / GRID


def sensible(codes: Codes) -> range:
    """The range of sensible factors times GRID, from finest to coarsest; always includes 1, the configured clips."""
    finest = max((min(FINEST_CLIP, largest_code(bits)) / clip for bits, clip in codes), default=1)
    coarsest = min((COARSEST_STEP * largest_code(bits) / clip for bits, clip in codes), default=1)
    return range(math.ceil(min(finest, 1) * GRID), math.floor(max(coarsest, 1) * GRID) + 1)


def entropy_bytes(codes: Codes, factor: float) -> float:
    """Entropy in bytes of the codes of Gaussian rows with the clips times `factor`."""
    return sum(count * gaussian_bits(bits, factor * clip) for (bits, clip), count in codes.items()) / 8


def gaussian_bits(bits: int, clip: float) -> float:
    """Entropy, in bits, of a unit Gaussian's code of `bits` bits that spans `clip` standard deviations."""
    limit = largest_code(bits)
    below = [0.0, *(_normal((code + 0.5) * clip / limit) for code in range(-limit, limit)), 1.0]
    shares = [upper - lower for lower, upper in pairwise(below)]
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _normal(x: float) -> float:
    """The cumulative distribution function of a unit Gaussian."""
    return math.erfc(-x / math.sqrt(2)) / 2
