"""The state of test-time training between two chunks."""

from dataclasses import dataclass
from typing import Any

import torch

from golf.evaluation.ledger import Ledger
from golf.model.gpt import GPT


@dataclass
class AdaptationState:
    """The adapted weights (with the table of the hash embedding, if there is one), SGD's momentum, and the ledger."""

    model: GPT
    sgd: torch.optim.Optimizer
    ledger: Ledger

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "sgd": self.sgd.state_dict()}

    def rank_state_dict(self) -> dict[str, Any]:
        return {"ledger": self.ledger.state_dict()}

    def load_state_dict(self, state: dict[str, Any], rank_state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])  # in place: captured CUDA graphs hold for these tensors
        self.sgd.load_state_dict(state["sgd"])
        self.ledger.load_state_dict(rank_state["ledger"])
