"""Tests, on the real path of an evaluation, that the model is causal and its distributions are normalised."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golf.evaluation.ledger import IllegalScore
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Stream
from golf.evaluation.windows import Windows
from golf.model.gpt import GPT
from golf.runtime import dist
from golf.runtime.device import to_device

CAUSAL = "condition 1, the distribution at a position depends on earlier tokens alone"
NORMALISED = "condition 2, a normalised distribution that does not depend on the target"
# Nats by which losses may differ that must be equal in two passes over one window. On the CPU equal shapes give equal
# bits.
CAUSALITY_TOLERANCE = {"cpu": 0.0, "cuda": 1e-3}
NORMALISATION_TOLERANCE = 1e-3  # of the sum of probabilities, and of a loss beside the one that the evaluation reports
ROWS_AT_ONCE = 1024


class ProbeAt:
    """Reads windows again at `count` places spread evenly over the stream: the window that scores the place and its
    neighbour, with all tokens from there on changed, by the model as it is at that moment. Then

    - no loss before the place may move, in either window (condition 1);
    - the losses of all words of the vocabulary at the place make probabilities that sum to one, and the evaluation
      reports this loss for the target as it is and as it was changed (condition 2).

    This detects a model that looks ahead, in its own window or in another one of the batch. It is not a proof: other
    places, and behaviour that depends on being tested, stay unseen.
    """

    def __init__(self, count: int, num_targets: int):
        self.places = [num_targets * (2 * i + 1) // (2 * count) for i in range(count)]
        self.tried = 0
        self.moved = self.unnormalised = 0.0

    def __call__(self, model: GPT, stream: Stream, reader: Reader, windows: Windows) -> None:
        """Rank 0 tests the places within the windows; tokens and model are the same on all ranks."""
        begin, end = windows.first[0], windows.end[-1]
        for place in [place for place in self.places if begin <= place < end]:
            if dist.is_main():
                i = int(np.searchsorted(windows.end, place, side="right"))
                beside = max(min(i, len(windows) - 2), 0)  # the next window contains this one's targets
                self._try(model, stream, reader, windows[beside : beside + 2], i - beside, place)
            self.tried += 1

    def facts(self) -> dict[str, Any]:
        """The number of places, and the largest deviations: of losses in nats, and of the sum of probabilities."""
        return {"probed": self.tried, "causality": self.moved, "normalisation": self.unnormalised}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the findings of a probe of the same places."""
        self.tried, self.moved, self.unnormalised = state["probed"], state["causality"], state["normalisation"]

    @torch.no_grad()
    def _try(self, model: GPT, stream: Stream, reader: Reader, windows: Windows, row: int, place: int) -> None:
        """`row`: index of the window that scores the place."""
        begin, seq_len = int(windows.start.min()), windows.seq_len
        start, lengths = windows.start - begin, windows.end - windows.start
        every = Windows(start, start, start + lengths, seq_len)  # score every target of them
        at = max(min(place - int(windows.start[row]), seq_len - 2), 0)  # in the window; its target is an input too
        here = int(start[row]) + at
        as_it_is = stream.part(begin, int(windows.start.max()) + seq_len)
        vocabulary = model.tok_emb.num_embeddings
        changed = as_it_is.part(0, as_it_is.num_targets)
        changed.tokens[here + 1 :] = (changed.tokens[here + 1 :] + 1) % vocabulary  # the target here and what follows
        losses, others = (torch.cat(list(reader.losses(model, each, every))) for each in (as_it_is, changed))
        positions = torch.cat([torch.arange(*ends) for ends in zip(start, every.end, strict=True)]).to(losses.device)
        scored = positions >= to_device(np.repeat(windows.first - begin, lengths), losses.device)
        if not losses[scored].isfinite().all():
            return  # computing the score raises Diverged
        moved = torch.where(positions < here, _apart(losses, others), 0.0)
        self.moved = max(self.moved, moved.max().item())
        if self.moved > CAUSALITY_TOLERANCE[losses.device.type]:
            first, last = begin + int(positions[moved.argmax()]), begin + here
            raise IllegalScore(f"{CAUSAL}: the loss at {first} moves when the tokens after {last} are changed")

        ids, _ = as_it_is.sequences(start, seq_len)
        # Of all positions, as above: rounding may depend on the number of rows.
        flat = int(lengths[:row].sum()) + at
        logits = reader.logits(model, ids, to_device(every.positions(), ids.device))[flat : flat + 1]
        words = torch.arange(vocabulary, device=ids.device)
        nats = torch.cat([reader.nats(logits.expand(len(some), -1), some) for some in words.split(ROWS_AT_ONCE)])
        total = (-nats.double()).exp().sum()
        errors = [_apart(total, torch.ones_like(total))]
        reported = [(losses, as_it_is), (others, changed)]
        errors += [_apart(found[flat], nats[text.tokens[here + 1]]) for found, text in reported]
        self.unnormalised = max(self.unnormalised, *(error.item() for error in errors))
        if self.unnormalised > NORMALISATION_TOLERANCE:
            raise IllegalScore(f"{NORMALISED}: at {begin + here} it is off by {self.unnormalised:.3g}")


def _apart(ones: Tensor, others: Tensor) -> Tensor:
    """Absolute differences of the losses; infinite where one is not a number."""
    return torch.where(ones == others, 0.0, (ones - others).abs()).nan_to_num(torch.inf, torch.inf)
