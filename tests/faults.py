"""What goes wrong in the middle of a run, for tests: an optimizer in whose second step something happens."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from golf.events import Listener
from golf.optim.muon_adamw import MuonAdamW
from golf.utils.atomic import TEMPORARY

OPTIMIZER = "optimizer._target_=faults.Interrupted"
happens: Callable[[], object] = int  # a test sets another


def fill_disk(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """No room for `path`, where it is written before it takes its place."""
    making = tempfile.mkdtemp

    def mkdtemp(suffix: str | None = None, prefix: str | None = None, dir: Path | None = None) -> str:
        made = making(suffix, prefix, dir)
        if (dir, prefix) == (path.parent, f".{path.name}."):
            Path(made, TEMPORARY).symlink_to("/dev/full")
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)


class Broken(Listener):
    """A tracker."""

    def metrics(self, stage, step, **values):
        raise ConnectionError("the other end has gone away")


class Interrupted(MuonAdamW):
    def step(self, step: int, lr_scale: float) -> None:
        if step == 1:
            happens()
        super().step(step, lr_scale)
