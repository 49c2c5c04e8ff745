"""The ledger of one pass over the validation stream: what is scored, and what may be trained on (spec: The four
conditions of a legal score)."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from golf.errors import UserError
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Score, Stream, Tally
from golf.evaluation.windows import Windows
from golf.model.gpt import GPT
from golf.runtime import dist

ONE_PASS = "condition 4, one pass from left to right"
SCORE_FIRST = "condition 3, score before update"


class IllegalScore(UserError):
    """A strategy broke one of the four conditions; the message names the condition and the position."""


class Probe(Protocol):
    """Checks windows that are about to be scored. Raises IllegalScore if the model breaks a condition there."""

    def __call__(self, model: GPT, stream: Stream, reader: Reader, windows: Windows) -> None: ...

    def facts(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Ledger:
    """Owns the stream during a pass. It scores windows, in order, each target once, and returns tokens to train on only
    after they are scored. Positions are those of targets: the target at p is the token p + 1.

    A strategy reads the stream through the ledger alone and the ledger computes the score, so conditions 3 and 4 hold.
    Conditions 1 and 2 are tested by `probe`, if there is one. This detects mistakes; it is not a sandbox: in Python, a
    strategy that means to cheat can access private attributes or read the data files, which a reviewer would see.
    """

    def __init__(self, stream: Stream, windows: Windows, reader: Reader, probe: Probe | None = None):
        self.windows = windows  # all windows of the stream, so that a strategy can plan
        self.device = stream.tokens.device
        self._stream = stream
        self._reader = reader
        self._probe = probe
        self._tally = Tally(stream)
        self._handed_out = 0

    @property
    def num_targets(self) -> int:
        """The number of targets to score."""
        return self._stream.num_targets

    @property
    def scored(self) -> int:
        """The number of scored targets, those at 0 … scored − 1."""
        return self._tally.targets

    def score(self, model: GPT, windows: Windows, progress: Callable[[int], None] = lambda done: None) -> None:
        """Score the windows, which must continue where the last ones ended. The ranks share them.

        progress: called with the approximate number of targets scored so far. Raises IllegalScore.
        """
        self._check(windows)
        if len(windows) == 0:
            return
        if self._probe is not None:
            self._probe(model, self._stream, self._reader, windows)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        done = 0
        for losses in self._reader.losses(model, self._stream, windows[dist.share(len(windows))]):
            total += losses.sum(dtype=torch.float64)
            done += len(losses)
            progress(min(self.scored + done * dist.world_size(), self.num_targets))
        dist.all_reduce_sum([total])
        self._tally.add(total.item(), windows.num_targets)

    def so_far(self) -> Score:
        """The score of the targets scored so far."""
        return self._tally.score()

    def sequences(self, starts: np.ndarray, length: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (len(starts), length) to train on. Raises IllegalScore if one is not scored yet."""
        starts = starts.astype(np.int64)  # in a narrower type an end could overflow
        early = starts[starts + length > self.scored]
        if len(early):
            raise IllegalScore(
                f"{SCORE_FIRST}: training asks for the target at {max(self.scored, early.min())}, but only "
                f"{self.scored} targets are scored"
            )
        if starts.min(initial=0) < 0:
            raise IllegalScore(f"{ONE_PASS}: a sequence starts at {starts.min()}, before the stream")
        self._handed_out = max(self._handed_out, int((starts + length).max(initial=0)))
        return self._stream.sequences(starts, length)

    def state_dict(self) -> dict[str, Any]:
        """Position and facts of the pass."""
        return {"tally": self._tally.state_dict(), "facts": self.facts()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the same pass of an earlier process. Raises IllegalScore if this one has begun."""
        if self.scored:
            raise IllegalScore(f"{ONE_PASS}: {self.scored} targets are scored already")
        self._tally.load_state_dict(state["tally"])
        self._handed_out = state["facts"]["handed_out"]
        if self._probe is not None:
            self._probe.load_state_dict(state["facts"])

    def close(self) -> Score | None:
        """The score of the whole stream, or None if nothing was scored. Raises IllegalScore if only a part was."""
        if self.scored == 0:
            return None
        if self.scored < self.num_targets:
            raise IllegalScore(f"{ONE_PASS}: the targets from {self.scored} on were never scored")
        return self.so_far()

    def facts(self) -> dict[str, Any]:
        """Facts of the pass: targets scored, the end of the tokens handed out, and the probe's findings."""
        facts = {"targets": self.scored, "handed_out": self._handed_out}
        return facts if self._probe is None else facts | self._probe.facts()

    def _check(self, windows: Windows) -> None:
        """Raise IllegalScore unless each window continues the one before and contains the targets it scores."""
        expected = np.concatenate([[self.scored], windows.end[:-1]])
        wrong = windows.first != expected
        if wrong.any():
            first, due = int(windows.first[wrong][0]), int(expected[wrong][0])
            what = f"the target at {first} is scored twice" if first < due else f"the targets from {due} are skipped"
            raise IllegalScore(f"{ONE_PASS}: {what}")
        limit = np.minimum(windows.start + windows.seq_len, self.num_targets)
        outside = (windows.start < 0) | (windows.first < windows.start) | (windows.end > limit)
        outside |= windows.end <= windows.first
        if outside.any():
            i = int(outside.argmax())
            raise IllegalScore(
                f"{ONE_PASS}: the window that reads {windows.seq_len} tokens from {windows.start[i]} cannot score the "
                f"targets from {windows.first[i]} to {windows.end[i] - 1} of {self.num_targets}"
            )
