"""What a test-time training strategy is."""

from abc import ABC, abstractmethod

from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Score, Stream
from golf.events import Listener
from golf.model.gpt import GPT


class Strategy(ABC):
    """Scores the validation stream while adapting the model to what has been scored."""

    @abstractmethod
    def check(self, model: GPT) -> None:
        """Raise UserError if the strategy cannot adapt such a model; only its shapes are looked at."""

    @abstractmethod
    def score(self, model: GPT, stream: Stream, evaluation: Sliding, events: Listener) -> Score | None:
        """The score, or None for a strategy that leaves it to sliding evaluation. May change `model`."""


class NoTTT(Strategy):
    """ttt=none: the sliding score is final."""

    def check(self, model: GPT) -> None:
        """Any model will do."""

    def score(self, model: GPT, stream: Stream, evaluation: Sliding, events: Listener) -> Score | None:
        return None
