"""The sweep that a job belongs to."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from golf.build import build
from golf.config.check import check_component
from golf.config.names import no_such
from golf.errors import UserError, require
from golf.events import Events
from golf.io.run_directory import MULTIRUN, occupant
from golf.run.results import METRICS
from golf.utils.disk import room_for
from golf.utils.nested import lookup
from golf.utils.run_lock import remove_if_empty, run_lock


@dataclass(kw_only=True)
class Sweep:
    """`objectives`: what is compared, by its name in results.json, as in `artifact_bytes` or `sliding.val_bpb`. A job
    returns these numbers to the sweeper, one as it is and several as a tuple, and has failed if it computed none.
    """

    objectives: list[str]

    def check(self) -> None:
        """Raise UserError if there is no such objective."""
        require(bool(self.objectives), f"sweep.objectives=[] compares nothing; choose from {', '.join(METRICS)}")
        for name in self.objectives:
            require(name in METRICS, no_such("metric", f"sweep.objectives: {name}", name, METRICS))

    def values(self, results: Mapping[str, Any]) -> dict[str, float]:
        """The objectives of a run, from the content of results.json. Raises UserError if it did not compute one."""
        values = {}
        for name in self.objectives:
            if (value := lookup(results, name)) is None:
                raise UserError(f"sweep.objectives: {name} was not computed; choose another, or the stages that do")
            values[name] = value
        return values


def sweep_of(cfg: DictConfig) -> Sweep:
    """The sweep of a composed configuration. Raises UserError for a mistake in it."""
    spec: Any = OmegaConf.to_container(cfg.sweep, resolve=True)
    check_component("sweep", spec)
    sweep: Sweep = build(spec)
    sweep.check()
    return sweep


@contextmanager
def sweeping(directory: Path) -> Iterator[None]:
    """Around the jobs of the sweep in `directory`, in which no other may run; it is made if need be.

    Raises UserError if that cannot be done, if there is a run, and if its disk is full.
    """
    from golf.tracker.console import Console  # heavy for a module that every start of Hydra imports

    if (found := occupant(directory)) not in (None, MULTIRUN):
        raise UserError(f"{directory}: is the directory of a run ({found}); give another hydra.sweep.dir")
    with ExitStack() as stack:
        try:
            if not directory.exists():
                directory.mkdir(parents=True, exist_ok=True)
                stack.callback(remove_if_empty, directory)
            stack.enter_context(run_lock(directory, Events(optional=[Console()])))
        except OSError as error:
            message = f"{directory}: cannot be written ({error.strerror}); give another hydra.sweep.dir"
            raise UserError(message) from error
        with room_for(directory):
            yield
