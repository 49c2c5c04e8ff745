"""The sweeper behind `python -m golf -m`: Hydra's own, but for combinations without meaning, and a table at the end."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra.errors import ConfigCompositionException

from golf.errors import Ended
from golf.sweep import status


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

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        batch = []
        for overrides in super().get_job_batch():
            reason = self._meaningless(overrides)
            if reason is None:
                batch.append(overrides)
            else:
                self.left_out.append((overrides, reason))
        if not batch:
            raise Ended(f"no combination has a meaning: {self.left_out[0][1]}", code=2)
        return batch

    def sweep(self, arguments: list[str]) -> Any:
        try:
            batches = super().sweep(arguments)
        except (Exception, Ended):
            self._leave_nothing()
            raise
        jobs = [job for batch in batches for job in batch]
        failures = self._print(jobs)
        if failures:
            directory = self.config.hydra.sweep.dir  # type: ignore[union-attr]
            again = f"the same command with sweep.resume={directory} runs them again"
            raise Ended(f"{failures} of {len(jobs)} jobs failed; {again}", code=1)
        return batches

    def _leave_nothing(self) -> None:
        """Remove the sweep's directory if no job has begun: a mistake was made."""
        directory = Path(self.config.hydra.sweep.dir)  # type: ignore[union-attr]
        if [path.name for path in directory.glob("*")] == ["multirun.yaml"]:
            shutil.rmtree(directory)

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

    def _print(self, jobs: Sequence[JobReturn]) -> int:
        """Print the table of all jobs; the number of those that failed."""
        from rich.console import Console  # heavy for a module that every start of Hydra imports
        from rich.table import Table
        from rich.text import Text

        table = Table("job", "state", "val_bpb", "what happened")
        alike = set.intersection(*(set(job.overrides or ()) for job in jobs))
        failures = 0
        for job in jobs:
            directory = Path(job.hydra_cfg.hydra.runtime.output_dir)  # type: ignore[union-attr]
            found = status.read(directory) or {"state": "lost", "val_bpb": None, "error": "wrote no status.json"}
            failures += found["state"] != "done"
            score = "" if found["val_bpb"] is None else f"{found['val_bpb']:.5f}"
            lines = (found["error"] or "").strip().splitlines()
            # A mistake is told in its first line, a traceback in its last.
            what = "" if not lines else lines[-1] if lines[0].startswith("Traceback") else lines[0]
            table.add_row(Text(_without(job.overrides or (), alike)), found["state"], score, Text(what))
        for overrides, reason in self.left_out:
            table.add_row(Text(_without(overrides, alike)), "left out", "", Text(reason))
        Console().print(table)
        return failures


def _without(overrides: Sequence[str], alike: set[str]) -> str:
    """What was asked of one job and not of all."""
    return " ".join(override for override in overrides if override not in alike)
