"""How far training has come (spec: Training)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Seconds of training, and progress p in 0 … 1: elapsed/budget, or step/steps without a time budget."""

    def __init__(self, steps: int, budget_seconds: float | None):
        self.steps = steps
        self.budget = budget_seconds
        self._started = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def progress(self, step: int) -> float:
        """Read before the step, which counts from 0."""
        done = step / self.steps if self.budget is None else max(self.seconds() / self.budget, 0.0)
        return min(done, 1.0)

    def ended(self, step: int) -> bool:
        return step >= self.steps or (self.budget is not None and self.seconds() >= self.budget)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside (warm-up, validation) costs no training time."""
        begun = time.perf_counter()
        yield
        self._started += time.perf_counter() - begun


def lr_scale(progress: float, warmdown: float) -> float:
    """The learning-rate factor: 1, then from progress 1 − warmdown on linearly to 0."""
    return max(min((1 - progress) / warmdown, 1.0), 0.0) if warmdown > 0 else 1.0
