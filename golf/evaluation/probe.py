"""Trying, on the real path of an evaluation, that the model is causal and its distributions normalised."""

from typing import Any

import numpy as np
import torch

from golf import dist
from golf.evaluation.ledger import IllegalScore
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Stream
from golf.evaluation.windows import Windows
from golf.model.gpt import GPT

CAUSAL = "condition 1, the distribution at a position depends on earlier tokens alone"
NORMALISED = "condition 2, a normalised distribution that does not depend on the target"
# Nats by which the losses of two passes over one window may differ where they have to be the same. On the CPU the same
# shapes give the same bits.
CAUSALITY_TOLERANCE = {"cpu": 0.0, "cuda": 1e-3}
NORMALISATION_TOLERANCE = 1e-3  # of the sum of probabilities, and of a loss beside the one that the evaluation reports
ROWS_AT_ONCE = 1024


class ProbeAt:
    """At `count` places spread evenly over the stream, the window that scores the place is read a second time with all
    tokens changed from there on, as the model is at that moment. Then

    - no loss before the place may move (condition 1);
    - the losses of all words of the vocabulary at the place make probabilities that sum to one, and the evaluation
      reports this loss for the target as it is and as it was changed (condition 2).
    """

    def __init__(self, count: int, num_targets: int):
        self.places = [num_targets * (2 * i + 1) // (2 * count) for i in range(count)]
        self.tried = 0
        self.moved = self.unnormalised = 0.0

    def __call__(self, model: GPT, stream: Stream, reader: Reader, windows: Windows) -> None:
        """Rank 0 tries the places among the windows; the tokens are the same on all ranks, and so is the model."""
        begin, end = windows.first[0], windows.end[-1]
        for place in [place for place in self.places if begin <= place < end]:
            if dist.is_main():
                i = int(np.searchsorted(windows.end, place, side="right"))
                self._try(model, stream, reader, windows[i : i + 1], place)
            self.tried += 1

    def facts(self) -> dict[str, Any]:
        """How many places were tried, and the largest deviation found: nats, and of the sum of probabilities."""
        return {"probed": self.tried, "causality": self.moved, "normalisation": self.unnormalised}

    @torch.no_grad()
    def _try(self, model: GPT, stream: Stream, reader: Reader, window: Windows, place: int) -> None:
        start = int(window.start[0])
        at = max(min(place - start, window.seq_len - 2), 0)  # in the window, and its target an input too
        as_it_is = stream.part(start, start + window.seq_len)
        whole = Windows(np.array([0]), np.array([0]), window.end - start, window.seq_len)  # every target of it
        vocabulary = model.tok_emb.num_embeddings
        changed = as_it_is.part(0, window.seq_len)
        changed.tokens[at + 1 :] = (changed.tokens[at + 1 :] + 1) % vocabulary  # the target at `at` and what follows
        losses, others = (torch.cat(list(reader.losses(model, each, whole))) for each in (as_it_is, changed))
        if not losses.isfinite().all():
            return  # whoever takes the score says so
        moved = (losses[:at] - others[:at]).abs()
        self.moved = max(self.moved, moved.max().item() if at else 0.0)
        if self.moved > CAUSALITY_TOLERANCE[losses.device.type]:
            position = start + int(moved.argmax())
            raise IllegalScore(f"{CAUSAL}: the loss at {position} moves when the tokens after {start + at} are changed")

        ids, _ = as_it_is.sequences(whole.start, window.seq_len)
        # Of all positions, as above: another number of rows may be rounded another way.
        every = reader.logits(model, ids, torch.from_numpy(whole.positions()).to(ids.device))
        logits = every[at : at + 1]
        words = torch.arange(vocabulary, device=ids.device)
        nats = torch.cat([reader.nats(logits.expand(len(some), -1), some) for some in words.split(ROWS_AT_ONCE)])
        errors = [abs((-nats.double()).exp().sum().item() - 1)]
        reported = [(losses, as_it_is), (others, changed)]
        errors += [abs((found[at] - nats[text.tokens[at + 1]]).item()) for found, text in reported]
        self.unnormalised = max(self.unnormalised, *errors)
        if self.unnormalised > NORMALISATION_TOLERANCE:
            raise IllegalScore(f"{NORMALISED}: at {start + at} it is off by {self.unnormalised:.3g}")
