"""How far training has come (spec: Training)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of training, and progress p in 0 … 1: elapsed/budget, or step/steps without a time budget.

    It starts when it is made, at the `seconds` that earlier processes spent.
    """

    def __init__(self, steps: int, budget_seconds: float | None, seconds: float = 0.0):
        self.steps = steps
        self.budget = budget_seconds
        self._started = time.perf_counter() - seconds

    def seconds(self) -> float:
        """This rank's."""
        return time.perf_counter() - self._started

    def progress(self, step: int, seconds: float) -> float:
        """How far training has come after `step` steps and `seconds`, on which the ranks agree; at 1 it has ended."""
        if step == 0:
            return 0.0
        if step >= self.steps:
            return 1.0
        return step / self.steps if self.budget is None else min(seconds / self.budget, 1.0)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside (validation) costs no training time."""
        begun = time.perf_counter()
        yield
        self._started += time.perf_counter() - begun


def lr_scale(progress: float, warmdown: float) -> float:
    """The learning-rate factor: 1, then from progress 1 − warmdown on linearly to 0."""
    return max(min((1 - progress) / warmdown, 1.0), 0.0) if warmdown > 0 else 1.0
