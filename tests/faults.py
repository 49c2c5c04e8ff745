"""What goes wrong in the middle of a run, for tests: an optimizer in whose second step something happens."""

from collections.abc import Callable

from golf.events import Listener
from golf.optim.muon_adamw import MuonAdamW

OPTIMIZER = "optimizer._target_=faults.Interrupted"
happens: Callable[[], object] = int  # a test sets another


class Broken(Listener):
    """A tracker."""

    def metrics(self, stage, step, **values):
        raise ConnectionError("the other end has gone away")


class Interrupted(MuonAdamW):
    def step(self, step: int, lr_scale: float) -> None:
        if step == 1:
            happens()
        super().step(step, lr_scale)
