"""Plain and sliding windows over the validation stream (spec: Evaluation)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Windows in the stream's order; each scores the targets `first` … `end` − 1, and every target is scored once.

    start, first, end: int64 (windows,), in positions of the stream. A window reads `seq_len` tokens from `start`.
    """

    start: np.ndarray
    first: np.ndarray
    end: np.ndarray
    seq_len: int

    def __len__(self) -> int:
        return len(self.start)

    @property
    def num_targets(self) -> int:
        return int((self.end - self.first).sum())

    def positions(self) -> np.ndarray:
        """Indices of the scored targets in windows · seq_len, in order: int64 (targets,)."""
        counts = self.end - self.first
        begin = np.arange(len(self)) * self.seq_len + self.first - self.start
        positions: np.ndarray = np.arange(counts.sum()) + np.repeat(begin - counts.cumsum() + counts, counts)
        return positions

    def __getitem__(self, part: slice) -> "Windows":
        return Windows(self.start[part], self.first[part], self.end[part], self.seq_len)


def sliding_windows(num_targets: int, seq_len: int, stride: int) -> Windows:
    """Windows that start every `stride` tokens and score their last `stride` targets; the first scores all its targets.

    stride = seq_len gives plain, non-overlapping windows.
    """
    context = seq_len - stride
    start = np.arange(0, max(num_targets - context, 1), stride)
    first = start + context
    first[0] = 0
    return Windows(start, first, np.minimum(start + seq_len, num_targets), seq_len)
