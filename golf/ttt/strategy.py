"""What a test-time training strategy is."""

from abc import ABC, abstractmethod

from golf.evaluation.ledger import Ledger
from golf.events import Listener
from golf.model.gpt import GPT
from golf.resume.checkpointer import NoCheckpointer


class Strategy(ABC):
    """Scores the validation stream through a ledger, and adapts the model to what the ledger hands out."""

    @abstractmethod
    def check(self, model: GPT) -> None:
        """Raise UserError if the strategy cannot adapt such a model; only its shapes are looked at."""

    @abstractmethod
    def adapt(self, model: GPT, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        """Have the whole stream scored, or none of it, which leaves the score to the sliding windows. May change
        `model`. The checkpointer may keep the state between two parts of the stream. The ledger raises IllegalScore for
        what the challenge forbids."""


class NoTTT(Strategy):
    """ttt=none: the sliding score is final."""

    def check(self, model: GPT) -> None:
        """Any model will do."""

    def adapt(self, model: GPT, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        """Nothing is scored."""
