"""What a test-time training strategy is."""

from golf.evaluation.sliding import Sliding
from golf.evaluation.stream import Score, Stream
from golf.events import Listener
from golf.model.gpt import GPT


class Strategy:
    """Scores the validation stream while adapting the model to what has been scored."""

    def check(self, model: GPT) -> None:
        """Raise UserError if the strategy cannot adapt such a model; only its shapes are looked at."""

    def score(self, model: GPT, stream: Stream, evaluation: Sliding, events: Listener) -> Score | None:
        """The score, or None for a strategy that leaves it to sliding evaluation. May change `model`."""
        raise NotImplementedError


class NoTTT(Strategy):
    """ttt=none: the sliding score is final."""

    def score(self, model: GPT, stream: Stream, evaluation: Sliding, events: Listener) -> Score | None:
        return None
