"""The state of training between two steps."""

from dataclasses import dataclass
from typing import Any

from golf.data.prefetch import Prefetched
from golf.model.gpt import GPT
from golf.optim.optimizer import Optimizer
from golf.train.ema import EMA


@dataclass
class TrainingState:
    """Model, optimizers and average, the same on all ranks, and each rank's position in its data."""

    model: GPT
    optimizer: Optimizer
    ema: EMA | None
    batches: Prefetched

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "recurrent": self.model.recurrent,
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.average,
        }

    def rank_state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches.state_dict()}

    def load_state_dict(self, state: dict[str, Any], rank_state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])  # in place: captured CUDA graphs hold for these tensors
        self.model.recurrent = state["recurrent"]
        self.optimizer.load_state_dict(state["optimizer"])
        if self.ema is not None:
            for tensor, saved in zip(self.ema.average, state["ema"], strict=True):
                tensor.copy_(saved)
        self.batches.load_state_dict(rank_state["batches"])
