"""The sweeper behind `python -m golf -m`: Hydra's own, but for combinations without meaning, and a table at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import ConfigCompositionException

from golf.errors import Ended, Stopped, require
from golf.sweep import status
from golf.sweep.conclusion import conclude
from golf.sweep.interrupts import after_jobs
from golf.sweep.sweep import sweep_of, sweeping


class Grid(BasicSweeper):
    """Runs every combination that has a meaning, all of them whatever becomes of one.

    `ttt=none,score_first ttt.epochs=0,3` are two jobs, not four: without TTT there are no epochs. What is left out is
    listed at the end, with what failed; then Ended is raised with the code 1.
    """

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None):
        if max_batch_size is not None and max_batch_size < 1:
            raise Ended(f"hydra.sweeper.max_batch_size={max_batch_size} must be at least 1, or null", code=2)
        super().__init__(max_batch_size, params)
        self.left_out: list[tuple[Sequence[str], str]] = []

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        objectives = sweep_of(self.config).objectives
        directory = Path(self.config.hydra.sweep.dir)
        with sweeping(directory), after_jobs(self.config.hydra.launcher, directory):
            try:
                batches = super().sweep(arguments)
            except (Exception, KeyboardInterrupt, Stopped) as error:
                conclude(directory, objectives, left_out=self.left_out, stopped=error)
                raise
            jobs = [job for batch in batches for job in batch]
            lost = [job.overrides for job in jobs if status.read(Path(job.hydra_cfg.hydra.runtime.output_dir)) is None]
            conclude(directory, objectives, lost, self.left_out)
        return batches

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        batch = []
        for overrides in super().get_job_batch():
            reason = self._meaningless(overrides)
            if reason is None:
                batch.append(overrides)
            else:
                self.left_out.append((overrides, reason))
        require(bool(batch), f"no combination has a meaning: {self.left_out and self.left_out[0][1]}")
        return batch

    def _meaningless(self, overrides: Sequence[str]) -> str | None:
        """Why a combination has no meaning, or None: a key of a group whose option is `none`."""
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        try:
            loader.load_sweep_config(self.config, list(overrides))
        except ConfigCompositionException as error:
            key = str(getattr(error.__cause__, "full_key", ""))
            group = key.partition(".")[0]
            others = [override for override in overrides if override.lstrip("+~").partition("=")[0] != key]
            if len(others) == len(overrides):
                return None  # another mistake, which Hydra will tell
            try:
                chosen = loader.load_sweep_config(self.config, others).hydra.runtime.choices.get(group)
            except ConfigCompositionException:
                return self._meaningless(others)
            return f"{key} has no meaning with {group}=none" if chosen == "none" else None
        return None
