"""Adaptive frequencies: learned from the codes before, so that no table has to be stored.

A matrix is coded in blocks of rows, each a fraction of the rows above it. In each block the columns are divided into
groups by the magnitude of their codes above it: row scales make rows similar, but columns differ in trained weights.
The prior of a group's frequencies are those of its matrix, whose prior are those of the previous matrix.

Everything is integer arithmetic, the same on every platform.
"""

from collections.abc import Callable

import numpy as np

TOTAL = 1 << 24  # of the frequencies of a part
GROUPS = 8  # of columns
GROWTH = 4  # a block has a quarter of the rows above it
UNIT = 64  # weight of each occurrence of a code; an unseen code has weight 1
MATRIX_WEIGHT = 1024 * UNIT  # of a matrix as prior of its groups
BEFORE_WEIGHT = 64 * UNIT  # of the previous matrix as prior of a matrix

# Codes a part of a block. Takes its place (a view of the block, and its columns), the code of symbol 0, and the
# frequencies of the symbols; returns the symbols, uint8 (rows, columns).
Coding = Callable[[np.ndarray, np.ndarray, int, np.ndarray], np.ndarray]


class Adaptive:
    """Walks through matrices in the order that encoder and decoder share.

    code: called for each part; the matrix must hold the part's codes when it returns.
    """

    def __init__(self, code: Coding):
        self.code = code
        self.before = np.zeros(256, np.int64)  # how often the last matrix had each of -128 to 127

    def visit(self, matrix: np.ndarray, low: int, high: int) -> None:
        """matrix: int8 (rows, columns) of codes from low to high. An empty or constant one has no parts."""
        if low == high or not matrix.size:
            return
        rows, columns = matrix.shape
        before = self.before[low + 128 : high + 129]
        sizes = np.zeros(columns, np.int64)  # sums of the columns' magnitudes above the block
        counts = np.zeros((min(GROUPS, columns), len(before)), np.int64)  # of each symbol in each group
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
    """Frequencies int64 (groups, symbols) that sum to TOTAL in each group, from the counts of the groups and of the
    previous matrix."""
    matrix = UNIT * counts.sum(axis=0) + BEFORE_WEIGHT * before // max(before.sum(), 1) + 1
    weights = UNIT * counts + MATRIX_WEIGHT * matrix // matrix.sum()
    frequencies: np.ndarray = TOTAL * weights // weights.sum(axis=1, keepdims=True)
    frequencies[:, -1] += TOTAL - frequencies.sum(axis=1)
    return frequencies
