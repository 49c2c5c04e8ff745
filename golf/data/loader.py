"""The order in which training sequences are read from the shards (spec: Data)."""

from collections.abc import Sequence
from copy import deepcopy
from math import gcd

import numpy as np
import torch
from torch import Tensor

from golf.errors import UserError


class _Shard:
    """One shard's sequences that are still to be read in this round."""

    def __init__(self, tokens: np.ndarray, seq_len: int):
        self.tokens = tokens
        self.seq_len = seq_len
        self.starts: list[int] = []

    def reset(self, generator: np.random.Generator) -> None:
        """Cut the shard anew: a random phase, then sequence start + j·stride (mod count)."""
        n, seq_len = len(self.tokens), self.seq_len
        longest = min(seq_len - 1, n - seq_len - 1)
        phase = int(generator.integers(longest + 1)) if longest > 0 else 0
        count = max((n - 1 - phase) // seq_len, 0)
        stride, start = 1, 0
        if count > 1:
            stride = int(generator.integers(1, count))
            while gcd(stride, count) != 1:
                stride = int(generator.integers(1, count))
            start = int(generator.integers(count))
        self.starts = [phase + (start + j * stride) % count * seq_len for j in range(count)]


class Loader:
    """Draws training sequences without end from the shards of one rank.

    `shards` are the token arrays of all ranks, in file order; a rank reads every `world_size`-th. The generator is
    numpy's PCG64, seeded with the rank alone when `seed` is None: the record's order, the same for every seed.
    """

    def __init__(
        self, shards: Sequence[np.ndarray], seq_len: int, seed: int | None, rank: int = 0, world_size: int = 1
    ):
        self.seq_len = seq_len
        self.generator = np.random.default_rng(rank if seed is None else [seed, rank])
        self.shards = [_Shard(tokens, seq_len) for tokens in shards[rank::world_size]]
        self._reset()
        if not any(shard.starts for shard in self.shards):
            raise UserError(f"no training shard of rank {rank} holds a sequence of {seq_len} + 1 tokens")

    def _reset(self) -> None:
        for shard in self.shards:
            shard.reset(self.generator)

    def copy(self) -> "Loader":
        """An independent loader at the same place. It shares the tokens, which may be memory maps of gigabytes."""
        return deepcopy(self, {id(shard.tokens): shard.tokens for shard in self.shards})

    def batch(self, sequences: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each int64 (sequences, seq_len)."""
        rows = np.stack([self._sequence() for _ in range(sequences)])
        tokens = torch.from_numpy(rows.astype(np.int64))
        return tokens[:, :-1], tokens[:, 1:]

    def _sequence(self) -> np.ndarray:
        remaining = np.array([len(shard.starts) for shard in self.shards])
        if not remaining.any():
            self._reset()
            remaining = np.array([len(shard.starts) for shard in self.shards])
        shard = self.shards[self.generator.choice(len(self.shards), p=remaining / remaining.sum())]
        start = shard.starts.pop()
        return shard.tokens[start : start + self.seq_len + 1]
