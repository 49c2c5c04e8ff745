"""Clip sigmas with which an artifact is as large as allowed, and not larger.

All sigmas are multiplied by one factor. So the errors of all tensors, which go with the square of the step, change by
one factor too: what was a balance between them stays one. And one unknown is told by one measured size. How the bytes
follow the factor is known from the entropy of a Gaussian's codes: of steps twice as long, one bit less for each. What
the codec and the float16 values add to that hardly changes.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import pairwise

from golf.kernels.rounding import largest_code

QUANTIZATIONS = 3
TOLERANCE = 0.001  # of the limit: as large as allowed; nothing is gained by packing again for the rest
FINEST_CLIP = 4.0  # standard deviations: with less, what is cut off costs more than the finer steps gain
COARSEST_STEP = 2.0  # standard deviations: two thirds of the codes are 0
GRID = 10_000  # factors are multiples of 1/GRID: from one to the next, a size changes by about TOLERANCE / 10 at most

Codes = Mapping[tuple[int, float], int]  # how many there are of each width in bits and clip in standard deviations


def fit(measure: Callable[[float], int], codes: Codes, limit: int) -> float:
    """The factor, of at most QUANTIZATIONS that are tried, whose size is the largest that does not exceed `limit`; that
    of the smallest size if all do.

    measure: the bytes of the artifact that is made with the sigmas times a factor; the first is 1. Ends as soon as a
    size is as large as allowed, or no other factor makes sense.

    As tried with brotli at quality 11 and with range, it ends 0.2 % below the limit at most where the first size is
    within 2.5 % of it, and 0.7 % where it is within 20 %; artifacts below 100 kB answer less evenly.
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
    """What to try after these. Bytes go with the entropy one to one, or as they went from the first to the second."""
    points = [(entropy_bytes(codes, factor), size) for factor, size in sizes.items()]
    entropy, size = points[-1]
    aim, slope, left = (1 - TOLERANCE / 2) * limit, 1.0, 0.1  # of the way; a codec may answer with more than asked
    if len(points) == 2:
        slope = (size - points[0][1]) / (entropy - points[0][0])
        left = 0.25 if size <= limit else 1.0  # no later try makes up for it
    way = aim - left * abs(aim - size) - size
    return factor_with(codes, entropy + way / min(max(slope, 0.5), 2.0))


def factor_with(codes: Codes, wanted: float) -> float:
    """The smallest factor that makes the entropy of the codes at most `wanted` bytes; the end of what makes sense if
    that is beyond."""
    factors = sensible(codes)
    at = bisect_left(factors, -wanted, key=lambda factor: -entropy_bytes(codes, factor / GRID))
    return factors[min(at, len(factors) - 1)] / GRID


def sensible(codes: Codes) -> range:
    """The factors, times GRID, from the finest to the coarsest that make sense; 1 does, if it was configured."""
    finest = max((min(FINEST_CLIP, largest_code(bits)) / clip for bits, clip in codes), default=1)
    coarsest = min((COARSEST_STEP * largest_code(bits) / clip for bits, clip in codes), default=1)
    return range(math.ceil(min(finest, 1) * GRID), math.floor(max(coarsest, 1) * GRID) + 1)


def entropy_bytes(codes: Codes, factor: float) -> float:
    """Bytes of the codes if all rows were Gaussian and the clips `factor` times what they are."""
    return sum(count * gaussian_bits(bits, factor * clip) for (bits, clip), count in codes.items()) / 8


def gaussian_bits(bits: int, clip: float) -> float:
    """Entropy, in bits, of a unit Gaussian's code of `bits` bits that spans `clip` standard deviations."""
    limit = largest_code(bits)
    below = [0.0, *(_normal((code + 0.5) * clip / limit) for code in range(-limit, limit)), 1.0]
    shares = [upper - lower for lower, upper in pairwise(below)]
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _normal(x: float) -> float:
    """The share of a unit Gaussian below x."""
    return math.erfc(-x / math.sqrt(2)) / 2
