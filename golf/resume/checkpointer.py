"""The interface by which training and test-time training save their state between two rounds, and resume it."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self


class LoopState(Protocol):
    """The state of a loop between two rounds, of types that torch.load takes with weights_only."""

    def state_dict(self) -> dict[str, Any]:
        """What is the same on all ranks."""

    def rank_state_dict(self) -> dict[str, Any]:
        """What differs between the ranks; on the CPU."""

    def load_state_dict(self, state: dict[str, Any], rank_state: dict[str, Any]) -> None: ...


class NoCheckpointer:
    """Saves nothing: in a packed script, and with resume=off.

    A context manager around one stage. Since `restore`, `loop_seconds` and `stage_seconds` are those that earlier
    processes spent in the loop and in the stage, and `times` counts how often the stage was resumed.
    """

    loop_seconds = stage_seconds = 0.0
    times = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def restore(self, state: LoopState) -> int:
        """Load the last snapshot into `state` and return its finished rounds, 0 without one. Call before the loop."""
        return 0

    def request(self) -> int:
        """What this rank requests after a round: 0 nothing, 1 a snapshot, or the number of a signal that waits for one.
        The ranks save if the largest request of them all is not 0."""
        return 0

    def save(self, state: LoopState, done: int, request: int, seconds: Callable[[], float] = float) -> None:
        """Save the state after `done` rounds, on every rank, with the `seconds` of the loop (0.0 for one without a
        clock); then a requested signal takes effect, which may end the process."""

    def release(self) -> None:
        """No round is left: a signal that waits takes effect."""
