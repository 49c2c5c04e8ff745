"""The order in which training sequences are read from the shards (spec: Data)."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import gcd
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from golf.data.shard import Shard
from golf.errors import UserError

Tokens = np.ndarray | Shard


class _Shard:
    """The sequences of one shard that are left in this round."""

    def __init__(self, tokens: Tokens, seq_len: int):
        self.tokens = tokens
        self.seq_len = seq_len
        self.starts: list[int] = []

    def reset(self, generator: np.random.Generator) -> None:
        """Start a new round: a random phase, then the sequences start + j·stride (mod count)."""
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


def inputs_and_targets(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (sequences, n + 1) as inputs and targets, int64 (sequences, n)."""
    tokens = rows.long()
    return tokens[:, :-1], tokens[:, 1:]


Order = Literal["global", "record"]


class Loader:
    """Draws the training sequences of one rank, endlessly.

    `shards` are the tokens of all ranks, in file order. The order `global` covers all of them, and the ranks take its
    batches in turn: the data of a step do not depend on their number. With `record` a rank has every `world_size`-th
    shard and its own order. The generator is numpy's PCG64; without `seed` it is seeded with the rank only (0 for the
    global order), as in the record: the same for every run.
    """

    def __init__(
        self,
        shards: Sequence[Tokens],
        seq_len: int,
        seed: int | None,
        order: Order,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.seq_len = seq_len
        self.turn, self.turns = (rank, world_size) if order == "global" else (0, 1)
        stream = 0 if order == "global" else rank
        self.generator = np.random.default_rng(stream if seed is None else [seed, stream])
        mine = shards if order == "global" else shards[rank::world_size]
        self.shards = [_Shard(tokens, seq_len) for tokens in mine]
        self._reset()
        if not any(shard.starts for shard in self.shards):
            whose = "" if order == "global" else f" of rank {rank} (data.order=record deals {len(shards)} of them)"
            raise UserError(f"no training shard{whose} holds a sequence of {seq_len} + 1 tokens")

    def _reset(self) -> None:
        self._cut = self.generator.bit_generator.state
        for shard in self.shards:
            shard.reset(self.generator)
        self.left = np.array([len(shard.starts) for shard in self.shards])

    def copy(self) -> "Loader":
        """An independent loader at the same position. It shares the tokens, which may be gigabytes."""
        return deepcopy(self, {id(shard.tokens): shard.tokens for shard in self.shards})

    def state_dict(self) -> dict[str, Any]:
        """The generator's state at the start of the round and now, and the number of sequences left in each shard."""
        return {"cut": self._cut, "now": self.generator.bit_generator.state, "left": self.left.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the position of a loader of the same shards."""
        self.generator.bit_generator.state = state["cut"]
        self._reset()
        self.left = np.array(state["left"])
        for shard, left in zip(self.shards, state["left"], strict=True):
            del shard.starts[left:]
        self.generator.bit_generator.state = state["now"]

    def batch(self, sequences: int) -> tuple[Tensor, Tensor]:
        """The rank's next inputs and targets, each int64 (sequences, seq_len)."""
        return inputs_and_targets(self.rows(sequences))

    def rows(self, sequences: int) -> Tensor:
        """The tokens of `batch` as the shards have them, uint16 (sequences, seq_len + 1)."""
        drawn = [self._draw() for _ in range(self.turns * sequences)]
        mine = drawn[self.turn * sequences : (self.turn + 1) * sequences]
        return torch.from_numpy(np.stack([shard.tokens[start : start + self.seq_len + 1] for shard, start in mine]))

    def _draw(self) -> tuple[_Shard, int]:
        """The next sequence of the order: its shard and where it begins there."""
        if not self.left.any():
            self._reset()
        # Equals generator.choice(len(shards), p=left / left.sum()) without its checks, which take most of its time.
        ends = (self.left / self.left.sum()).cumsum()
        i = int((ends / ends[-1]).searchsorted(self.generator.random(), side="right"))
        self.left[i] -= 1
        return self.shards[i], self.shards[i].starts.pop()
