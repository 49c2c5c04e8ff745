"""The bus: who is optional ends no job, who is required does, and all hear the rest."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golf.events import Events, Job, Listener

JOB = Job(Path(), {}, {})
CALLS = {
    "start": lambda to: to.start(JOB),
    "event": lambda to: to.event("here", n=1),
    "metrics": lambda to: to.metrics("train", 1, loss=2.0),
    "progress": lambda to: to.progress("train", 1, 2, loss=2.0),
    "finish": lambda to: to.finish(None),
}


class Hearing(Listener):
    """Writes down what it hears; `fails_in` is the method that raises."""

    def __init__(self, fails_in: str | None = None):
        self.heard, self.told, self.fails_in = [], [], fails_in

    def _hear(self, name):
        self.heard.append(name)
        if name == self.fails_in:
            raise ArithmeticError("one and one\nare three")

    def start(self, job):
        self._hear("start")

    def event(self, name, **fields):
        if name == "listener_failed":
            self.told.append(fields)
        else:
            self._hear("event")

    def metrics(self, stage, step, **values):
        self._hear("metrics")

    def progress(self, stage, done, total, **notes):
        self._hear("progress")

    def finish(self, results):
        self._hear("finish")


class Failing(Hearing):
    pass


@given(st.sampled_from(list(CALLS)), st.permutations([0, 1, 2]), st.lists(st.sampled_from(list(CALLS)), max_size=8))
def test_an_optional_listener_that_fails_is_told_of_once(fails_in, order, calls):
    failing, required, optional = Failing(fails_in), Hearing(), [Hearing(), Hearing()]
    events = Events([required], [[failing, *optional][i] for i in order])
    for name in calls:
        CALLS[name](events)
    for listener in (required, *optional):
        assert listener.heard == calls
        once = [{"listener": "Failing", "error": "ArithmeticError: one and one are three"}]
        assert listener.told == (once if fails_in in calls else [])
    assert failing.heard == (calls[: calls.index(fails_in) + 1] if fails_in in calls else calls)


@pytest.mark.parametrize("name", CALLS)
def test_an_error_of_a_required_listener_is_raised(name):
    others = [Hearing(), Hearing()]
    with pytest.raises(ArithmeticError):
        CALLS[name](Events([others[0], Hearing(name)], [others[1]]))
    if name == "finish":
        assert [other.heard for other in others] == [["finish"]] * 2


def test_what_fails_at_the_end_is_still_recorded():
    class Recording(Hearing):
        def event(self, name, **fields):
            assert "finish" not in self.heard
            super().event(name, **fields)

    record = Recording()
    Events([record], [Hearing("finish")]).finish(None)
    assert (record.heard, len(record.told)) == (["finish"], 1)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_an_end_of_the_process_is_no_failure(end):
    class Ending(Listener):
        def event(self, name, **fields):
            raise end

    with pytest.raises(end):
        Events([], [Ending()]).event("here")
