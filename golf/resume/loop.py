"""A loop that takes long, whose state can be kept between two of its rounds. Without a keeper it just runs, as in a
packed script."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, Protocol

from golf.resume.clock import AskingClock
from golf.runtime.finite_check import FiniteCheck


class Keeper(Protocol):
    """Who keeps the state of the loop of one stage."""

    seconds_before: float  # that earlier processes worked on the stage

    def asks(self) -> int:
        """What this rank asks for between two rounds: 0 nothing, 1 to be saved, or the number of a signal."""

    def restore(self, loop: "Loop") -> int:
        """Load what was kept into the loop, and keep it from now on; how many rounds that were, 0 if nothing was."""

    def save(self, loop: "Loop", done: int) -> None: ...

    def heed(self, number: int) -> None:
        """Let a signal have its effect, which may be the end of the process."""

    def release(self) -> None:
        """No round is left: signals need not wait any more."""


class Loop(ABC):
    """Between two rounds all that counts is what `shared` and `own` return, and it is kept if `watch` finds it finite.

    end_is_kept: whether what follows the last round is worth a snapshot.
    """

    end_is_kept: ClassVar[bool]

    def __init__(self, watch: FiniteCheck, rounds: int, budget_seconds: float | None):
        self.watch = watch
        self.keeper = keeper()
        self.clock = AskingClock(rounds, budget_seconds, self.keeper.asks)
        self.done = self.keeper.restore(self)

    @abstractmethod
    def shared(self) -> dict[str, Any]:
        """What is the same on all ranks. Like `own`, of types that torch.load takes with weights_only."""

    @abstractmethod
    def own(self) -> dict[str, Any]:
        """What differs between the ranks; on the CPU."""

    @abstractmethod
    def load(self, shared: dict[str, Any], own: dict[str, Any]) -> None:
        """Be what these were of."""

    def is_past(self, number: int) -> bool:
        """Whether the round of this number, from 0 on, was done before."""
        return number < self.done

    def passed(self, done: int, last: bool) -> None:
        """`done` rounds are done, and all ranks have read the clock. Saves if one of them asks for it; does not return
        if a signal ends the process. The last snapshot costs none of the loop's time. Raises Diverged."""
        asked = self.clock.asked
        if asked or (last and self.end_is_kept):
            self.watch.require_finite(done)
            with self.clock.paused() if last else nullcontext():
                self.keeper.save(self, done)
        if asked > 1:
            self.keeper.heed(asked)
        if last:
            self.keeper.release()


_keeper: Keeper | None = None


def is_kept() -> bool:
    return _keeper is not None


def keeper() -> Keeper:
    """Who keeps the loops; only if they are kept."""
    assert _keeper is not None
    return _keeper


@contextmanager
def kept_by(one: Keeper) -> Iterator[None]:
    """Inside, `one` keeps the loops."""
    global _keeper
    _keeper = one
    try:
        yield
    finally:
        _keeper = None
