"""Weights & Biases, online if possible, else offline; its failures never end the job.

Content of a run:
- config: the resolved config, under `choices` the option taken from each group, and the `variant` of a sweep's job;
- history: `train/loss`, … and `validate/val_bpb`, … against `train/step`; `ttt/val_bpb`, … against `ttt/chunk`;
- summary: results.json, so that W&B's columns are `val_bpb`, `ttt.val_bpb`, `stage_seconds.train`, …;
- artifact.golf as an artifact of type `model`.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from golf.errors import UserError
from golf.events import Job, Listener
from golf.io.run_directory import ARTIFACT
from golf.tracker import wandb_run
from golf.tracker.wandb_run import Mode

log = logging.getLogger(__name__)

AXES = {"train": "train/step", "validate": "train/step", "ttt": "ttt/chunk"}  # stage → what its values are drawn over


@dataclass(kw_only=True)
class Wandb(Listener):
    """One W&B run per job; a resumed or repeated job in the same directory continues its run.

    `mode` and `probe_seconds` decide whether it is online (see golf.tracker.wandb_run). Where the configuration holds
    null (or no tags), W&B's own settings apply. `variant` names the overrides of a sweep's job except the seed. All
    files are in `wandb/` in the run directory.

    Raises UserError only for `mode` online without a key, or with settings that W&B rejects.
    """

    project: str
    entity: str | None
    mode: Mode
    group: str | None
    name: str | None
    variant: str | None
    tags: list[str]
    log_artifact: bool
    probe_seconds: float
    _run: Any = field(default=None, init=False)

    def check(self) -> None:
        if self.mode == "online":
            _, key = wandb_run.own_settings()
            if key is None:
                raise UserError("tracker.mode=online: W&B has no key; set WANDB_API_KEY or take tracker.mode=auto")

    def start(self, job: Job) -> None:
        self._job = job
        self._run = wandb_run.start(
            job.directory,
            mode=self.mode,
            probe_seconds=self.probe_seconds,
            project=self.project,
            entity=self.entity,
            group=self.group,
            name=self.name,
            tags=self.tags or None,
            config={**job.config, "choices": dict(job.choices), "variant": self.variant},
        )
        if self._run:
            for stage, axis in AXES.items():
                self._run.define_metric(f"{stage}/*", step_metric=axis)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        if self._run:
            named = {f"{stage}/{name}": value for name, value in values.items()}
            self._run.log({AXES.get(stage, f"{stage}/step"): step} | named)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        if self._run:
            try:
                if results is not None:
                    self._run.summary.update(_without_nulls(results))
                    self._keep_artifact(results)
            finally:
                wandb_run.finish(self._run, exit_code=int(results is None))

    def _keep_artifact(self, results: Mapping[str, Any]) -> None:
        path = self._job.directory / ARTIFACT
        if not (self.log_artifact and path.exists()):
            return
        import wandb

        artifact = wandb.Artifact(
            re.sub(r"[^\w.-]", "_", self._run.name or self._run.id),
            type="model",
            metadata={"bytes": path.stat().st_size, "val_bpb": results.get("val_bpb")},
        )
        artifact.add_file(str(path), skip_cache=True)
        try:
            self._run.log_artifact(artifact)
        except Exception as error:  # it asks the server, which may have gone away
            log.warning("W&B has not received %s (%s)", path, type(error).__name__)


def _without_nulls(results: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in results.items()
        if value is not None
    }
