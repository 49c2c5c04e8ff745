"""The jobs of a sweep before they run: where each of them will, and whether that is its own."""

from collections.abc import Iterable
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from golf.config.composed import checked, overridden, without_hydra
from golf.errors import UserError
from golf.io.run_directory import occupant


def directory_of(cfg: DictConfig, number: int) -> Path:
    """Where Hydra's launchers will run the job of this number in the sweep."""
    with open_dict(cfg):
        cfg.hydra.job.id = cfg.hydra.job.num = number
    state = HydraConfig.instance()
    before = state.cfg
    try:
        state.set_config(cfg)
        return Path(cfg.hydra.sweep.dir, str(OmegaConf.select(cfg, "hydra.sweep.subdir"))).absolute()
    finally:
        state.cfg = before


def require_apart(jobs: Iterable[tuple[DictConfig, Path]]) -> None:
    """Raise UserError if two jobs would share a directory."""
    seen: dict[Path, list[str]] = {}
    for cfg, directory in jobs:
        mine = list(cfg.hydra.overrides.task)
        theirs = seen.setdefault(directory.resolve(), mine)
        if theirs is not mine:
            one, other = ([one for one in a if one not in b] for a, b in ((theirs, mine), (mine, theirs)))
            which = f"{' '.join(one)} and {' '.join(other)}" if one else f"{' '.join(mine)}, twice"
            raise UserError(f"hydra.sweep.subdir: two jobs would share {directory} ({which}); give each its own")


def belongs(cfg: DictConfig, hydra: HydraConf, directory: Path, *, with_data: bool = True) -> bool:
    """Whether `directory` holds this very job, as far as it came; see golf.pipeline.belongs. Raises UserError if it
    holds another."""
    if occupant(directory) is None:
        return False
    from golf import pipeline  # imports torch

    return pipeline.belongs(checked(cfg, hydra), directory, frozenset(overridden(hydra)), with_data=with_data)


def require_own(jobs: Iterable[tuple[DictConfig, Path]]) -> None:
    """Raise UserError if another job, or this one of another time, lies where one of these would run."""
    for cfg, directory in jobs:
        belongs(without_hydra(cfg), cfg.hydra, directory)
