"""What of the training loop is kept."""

from typing import Any

from golf.data.prefetch import Prefetched
from golf.model.gpt import GPT
from golf.optim.optimizer import Optimizer
from golf.resume.loop import Loop
from golf.runtime.finite_check import FiniteCheck
from golf.train.ema import EMA


class TrainingLoop(Loop):
    """Model, optimizers and average, which are the same on all ranks; and where each rank is in its data. A round is a
    step."""

    end_is_kept = True  # the scores of the weights are still to come, and without a cache all other stages

    def __init__(
        self,
        model: GPT,
        optimizer: Optimizer,
        ema: EMA | None,
        batches: Prefetched,
        watch: FiniteCheck,
        steps: int,
        budget_seconds: float | None,
    ):
        self.model, self.optimizer, self.ema, self.batches = model, optimizer, ema, batches
        super().__init__(watch, steps, budget_seconds)

    def shared(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "recurrent": self.model.recurrent,
            "optimizer": self.optimizer.state_dict(),
            "ema": None if self.ema is None else self.ema.average,
        }

    def own(self) -> dict[str, Any]:
        return {"batches": self.batches.position()}

    def load(self, shared: dict[str, Any], own: dict[str, Any]) -> None:
        self.model.load_state_dict(shared["model"])  # in place: recordings of CUDA graphs hold for these tensors
        self.model.recurrent = shared["recurrent"]
        self.optimizer.load_state_dict(shared["optimizer"])
        if self.ema is not None:
            for tensor, kept in zip(self.ema.average, shared["ema"], strict=True):
                tensor.copy_(kept)
        self.batches.go_to(own["batches"])
