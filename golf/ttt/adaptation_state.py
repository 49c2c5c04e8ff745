"""What of test-time training is kept."""

from typing import Any

import torch

from golf.evaluation.ledger import Ledger
from golf.model.gpt import GPT
from golf.resume.loop import Loop
from golf.runtime.finite_check import FiniteCheck


class AdaptingLoop(Loop):
    """The adapted weights, with the table of the hash embedding if there is one, SGD's momentum, and the ledger. A
    round is a chunk."""

    end_is_kept = False

    def __init__(self, model: GPT, sgd: torch.optim.Optimizer, ledger: Ledger, watch: FiniteCheck, chunks: int):
        self.model, self.sgd, self.ledger = model, sgd, ledger
        super().__init__(watch, chunks, None)

    def shared(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "sgd": self.sgd.state_dict()}

    def own(self) -> dict[str, Any]:
        return {"ledger": self.ledger.position()}

    def load(self, shared: dict[str, Any], own: dict[str, Any]) -> None:
        self.model.load_state_dict(shared["model"])  # in place: recordings of CUDA graphs hold for these tensors
        self.sgd.load_state_dict(shared["sgd"])
        self.ledger.go_to(own["ledger"])

    def passed(self, done: int, last: bool) -> None:
        self.clock.progress(done)  # nobody else reads it
        super().passed(done, last)
