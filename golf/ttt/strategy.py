"""The interface of test-time training strategies."""

from abc import ABC, abstractmethod

from golf.evaluation.ledger import Ledger
from golf.events import Listener
from golf.model.gpt import GPT
from golf.resume.checkpointer import NoCheckpointer


class Strategy(ABC):
    """Scores the validation stream through a ledger, and adapts the model to the tokens that the ledger releases."""

    @abstractmethod
    def check(self, model: GPT) -> None:
        """Raise UserError if the strategy cannot adapt such a model. Depends on its shapes only."""

    @abstractmethod
    def adapt(self, model: GPT, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        """Score the whole stream, or nothing, which leaves the score to the sliding windows. May change `model`. The
        checkpointer may save the state between two parts of the stream. The ledger raises IllegalScore if a condition
        of the challenge is broken."""


class NoTTT(Strategy):
    """ttt=none: the sliding score is final."""

    def check(self, model: GPT) -> None:
        """Accepts any model."""

    def adapt(self, model: GPT, ledger: Ledger, events: Listener, checkpointer: NoCheckpointer) -> None:
        """Scores nothing."""
