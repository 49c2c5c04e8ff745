"""Frequencies of codes, learned from the codes before them, so that no table need be stored.

A matrix is taken in blocks of rows, each a fraction of what lies above it. In each block the columns are dealt to
groups by how large their codes were above it: row scales have made rows alike, but columns differ in trained weights. A
group that has shown few codes leans on the frequencies of its matrix, and these, at first, on those of the matrix
before.

All of this is integers, the same on every platform.
"""

from collections.abc import Callable

import numpy as np

TOTAL = 1 << 24  # of the frequencies of a part
GROUPS = 8  # of columns
GROWTH = 4  # a block has a quarter of the rows above it
UNIT = 64  # weight of a code that was seen; one that never was has 1
MATRIX_WEIGHT = 1024 * UNIT  # of a matrix in the frequencies of its groups
BEFORE_WEIGHT = 64 * UNIT  # of the matrix before in those of a matrix

# Codes a part of a block: its place (a view of the block, and columns of it), the code that is symbol 0, and the
# frequencies of the symbols. Returns the symbols, uint8 (rows, columns).
Coding = Callable[[np.ndarray, np.ndarray, int, np.ndarray], np.ndarray]


class Adaptive:
    """Goes through matrices in the one order of encoder and decoder.

    code: is called for each part; the matrix is to hold the part's codes when it returns.
    """

    def __init__(self, code: Coding):
        self.code = code
        self.before = np.zeros(256, np.int64)  # how often the last matrix had each of -128 to 127

    def visit(self, matrix: np.ndarray, low: int, high: int) -> None:
        """matrix: int8 (rows, columns) of codes from low to high. If all are the same, or there are none, it has no
        parts."""
        if low == high or not matrix.size:
            return
        rows, columns = matrix.shape
        before = self.before[low + 128 : high + 129]
        sizes = np.zeros(columns, np.int64)  # sums of what the columns have above the block
        counts = np.zeros((min(GROUPS, columns), len(before)), np.int64)  # how often the groups had each symbol
        start = 0
        while start < rows:
            block = matrix[start : start + 1 + start // GROWTH]
            groups = np.array_split(sizes.argsort(kind="stable"), len(counts))
            for i, (group, frequencies) in enumerate(zip(groups, frequencies_of(counts, before), strict=True)):
                symbols = self.code(block, group, low, frequencies)
                counts[i] += np.bincount(symbols.ravel(), minlength=len(before))
            sizes += np.abs(block, dtype=np.int16).sum(axis=0, dtype=np.int64)
            start += len(block)
        self.before = np.zeros_like(self.before)
        self.before[low + 128 : high + 129] = counts.sum(axis=0)


def frequencies_of(counts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """int64 (groups, symbols), for each group TOTAL in all; from the counts of the groups and of the matrix before."""
    matrix = UNIT * counts.sum(axis=0) + BEFORE_WEIGHT * before // max(before.sum(), 1) + 1
    weights = UNIT * counts + MATRIX_WEIGHT * matrix // matrix.sum()
    frequencies: np.ndarray = TOTAL * weights // weights.sum(axis=1, keepdims=True)
    frequencies[:, -1] += TOTAL - frequencies.sum(axis=1)
    return frequencies
