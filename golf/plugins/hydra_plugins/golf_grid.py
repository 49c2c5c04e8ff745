"""The sweeper behind `python -m golf -m`: Hydra's own, but for combinations without meaning, and a table at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from golf.config.composed import checked, without_hydra
from golf.errors import Ended, Stopped, require
from golf.sweep import status
from golf.sweep.conclusion import conclude
from golf.sweep.interrupts import after_jobs
from golf.sweep.jobs import directory_of, require_apart, require_own
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
        self.batches: list[Sequence[Sequence[str]]] = []

    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        objectives = sweep_of(self.config).objectives
        directory = Path(self.config.hydra.sweep.dir)
        jobs = self._jobs(arguments)
        with sweeping(directory), after_jobs(self.config.hydra.launcher, directory):
            require_own(jobs)
            try:
                batches = super().sweep(arguments)
            except (Exception, KeyboardInterrupt, Stopped) as error:
                conclude(directory, objectives, left_out=self.left_out, stopped=error)
                raise
            ended = [job for batch in batches for job in batch]
            lost = [job.overrides for job in ended if status.read(Path(job.hydra_cfg.hydra.runtime.output_dir)) is None]
            conclude(directory, objectives, lost, self.left_out)
        return batches

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        self.batch_index += 1
        return self.batches[self.batch_index - 1]

    def is_done(self) -> bool:
        return self.batch_index >= len(self.batches)

    def _jobs(self, arguments: list[str]) -> list[tuple[DictConfig, Path]]:
        """Fill `batches` with the combinations that have a meaning; the configuration and the directory of each.

        Raises UserError for the first mistake in one of them: none runs then.
        """
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        jobs: list[tuple[DictConfig, Path]] = []
        for every in self.split_arguments(overrides, self.max_batch_size):
            batch = []
            for combination in every:
                cfg = self._composed(combination)
                if cfg is not None:
                    checked(without_hydra(cfg), cfg.hydra)
                    jobs.append((cfg, directory_of(cfg, len(jobs))))
                    batch.append(combination)
            if batch:
                self.batches.append(batch)
        require(bool(jobs), f"no combination has a meaning: {self.left_out and self.left_out[0][1]}")
        require_apart(jobs)
        return jobs

    def _composed(self, overrides: Sequence[str]) -> DictConfig | None:
        """The configuration of a combination, or None if it has no meaning: a key of a group whose option is `none`."""
        try:
            return self._load(overrides)
        except ConfigCompositionException as error:
            reason = self._meaningless(overrides, error)
            if reason is None:
                raise
            self.left_out.append((overrides, reason))
            return None

    def _meaningless(self, overrides: Sequence[str], error: ConfigCompositionException) -> str | None:
        """Why a combination that cannot be composed has no meaning, or None if there is another mistake in it."""
        key = str(getattr(error.__cause__, "full_key", ""))
        group = key.partition(".")[0]
        others = [override for override in overrides if override.lstrip("+~").partition("=")[0] != key]
        if len(others) == len(overrides):
            return None
        try:
            chosen = self._load(others).hydra.runtime.choices.get(group)
        except ConfigCompositionException as other:
            return self._meaningless(others, other)
        return f"{key} has no meaning with {group}=none" if chosen == "none" else None

    def _load(self, overrides: Sequence[str]) -> DictConfig:
        assert self.hydra_context is not None
        assert self.config is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
