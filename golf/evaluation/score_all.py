"""The score of the whole validation stream by a model that stays as it is."""

from golf.evaluation.ledger import Ledger
from golf.evaluation.stream import Score
from golf.events import Listener
from golf.model.gpt import GPT


def score_all(ledger: Ledger, model: GPT, name: str, events: Listener) -> Score:
    """The score; `name` is that of the progress."""
    ledger.score(model, ledger.windows, lambda done: events.progress(name, done, ledger.num_targets))
    score = ledger.close()
    assert score is not None  # there is a target in every stream
    return score
