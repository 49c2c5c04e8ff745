"""A clock whose reading says, too, whether a rank wants the state to be kept."""

from collections.abc import Callable

from golf.runtime import dist
from golf.runtime.clock import Clock


class AskingClock(Clock):
    """At each reading of `progress`, by one exchange between the ranks, `asked` becomes the largest `ask()` of all."""

    def __init__(self, steps: int, budget_seconds: float | None, ask: Callable[[], int]):
        super().__init__(steps, budget_seconds)
        self.asked = 0
        self._ask = ask
        self._read = 0.0

    def progress(self, step: int) -> float:
        self._read, asked = dist.all_reduce_max(self.seconds() if dist.is_main() else 0.0, self._ask())
        self.asked = int(asked)
        return super().progress(step)

    def _agreed(self) -> float:
        return self._read

    def go_on_from(self, seconds: float) -> None:
        """So many were used before."""
        self._started -= seconds - self.seconds()
