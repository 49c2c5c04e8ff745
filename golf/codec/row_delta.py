"""Row delta: rows close to the one above are stored as differences.

Tokens that never occur in training, such as most byte tokens, end with nearly identical embeddings.
"""

import numpy as np


def split(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From codes int8 (rows, columns): which rows are near the one above (int8 (rows, 1), 1 or 0), the differences of
    these from the rows above them (modulo 256), and the other rows unchanged."""
    difference = np.diff(codes, axis=0, prepend=np.int8(0))
    near = 2 * _size(difference) < _size(codes)  # saves at least one bit per code; never the first row
    return near[:, None].astype(np.int8), difference[near], codes[~near]


def join(near: np.ndarray, differences: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The inverse of `split`. Input that `split` cannot produce yields arbitrary codes of the right shape."""
    if not len(differences):
        return others
    is_near = near[:, 0] != 0
    codes = np.empty((len(near), others.shape[1]), np.int8)
    codes[~is_near], codes[is_near] = others, 0
    anchor = np.maximum.accumulate(np.where(is_near, 0, np.arange(len(near))))  # the last row that is not near
    steps = np.zeros_like(codes)
    steps[is_near] = differences
    sums = steps.cumsum(axis=0, dtype=np.int8)
    joined: np.ndarray = codes[anchor] + sums - sums[anchor]
    return joined


def _size(codes: np.ndarray) -> np.ndarray:
    """Sum of magnitudes of each row, int64."""
    size: np.ndarray = np.abs(codes, dtype=np.int16).sum(axis=1, dtype=np.int64)
    return size
