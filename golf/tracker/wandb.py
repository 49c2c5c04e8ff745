"""Weights & Biases, online where it can be and offline where it must, never in the way of the job.

What a run holds:
- config: the resolved config, and under `choices` the option taken from each group;
- history: `train/loss`, … and `validate/val_bpb`, … against `train/step`; `ttt/val_bpb`, … against `ttt/chunk`;
- summary: results.json as it is, so that W&B's columns are `val_bpb`, `ttt.val_bpb`, `stage_seconds.train`, …;
- artifact.golf as an artifact of type `model`.
"""

import logging
import os
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from golf.atomic import replacing
from golf.errors import UserError
from golf.events import Job, Listener
from golf.run_files import ARTIFACT
from golf.tracker.online import credentials, unreachable

log = logging.getLogger(__name__)

AXES = {"train": "train/step", "validate": "train/step", "ttt": "ttt/chunk"}  # stage → what its values are drawn over
SETTINGS: dict[str, Any] = {"silent": True, "console": "off", "save_code": False, "disable_git": True}


@dataclass(kw_only=True)
class Wandb(Listener):
    """One W&B run for one job; a job in the same directory, resumed or run again, continues its run.

    With `mode` auto, W&B's own settings (WANDB_MODE, `wandb offline`) decide first; then a key and an answer from the
    server within `probe_seconds` make it online, otherwise it is offline and says how to upload later. Where the
    configuration holds null (or no tags), W&B's own settings apply. All files lie in `wandb/` in the run directory.

    Errors of W&B end the tracking with one warning, never the job; only `mode` online without a key is a mistake.
    """

    project: str
    entity: str | None
    mode: Literal["auto", "online", "offline"]
    group: str | None
    name: str | None
    tags: list[str]
    log_artifact: bool
    probe_seconds: float
    _run: Any = field(default=None, init=False)

    def check(self) -> None:
        if self.mode == "online":
            import wandb

            if credentials(wandb.setup(wandb.Settings(**SETTINGS)).settings) is None:
                raise UserError("tracker.mode=online: W&B has no key; set WANDB_API_KEY or take tracker.mode=auto")

    def start(self, job: Job) -> None:
        self._job = job
        with self._harmless():
            import wandb

            # What no setting says: where artifacts are staged and the service logs, and that no report of W&B's own
            # holds up the end of the job for 10 s where the server does not answer.
            os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str((job.directory / "wandb").resolve())
            os.environ["WANDB_ERROR_REPORTING"] = "false"
            settings = wandb.setup(wandb.Settings(**SETTINGS)).settings
            key = credentials(settings)
            mode, reason = self._mode(settings, key)
            if mode != "disabled":
                self._run = self._online(key) if mode == "online" else self._offline(reason)
                for stage, axis in AXES.items():
                    self._run.define_metric(f"{stage}/*", step_metric=axis)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        with self._harmless():
            if self._run:
                named = {f"{stage}/{name}": value for name, value in values.items()}
                self._run.log({AXES.get(stage, f"{stage}/step"): step} | named)

    def finish(self, results: Mapping[str, Any] | None) -> None:
        with self._harmless():
            if self._run:
                import wandb

                try:
                    if results is not None:
                        self._run.summary.update(_without_nulls(results))
                        self._keep_artifact(results)
                finally:
                    self._run.finish(exit_code=int(results is None))
                    wandb.teardown()  # the next job in this process has other directories
                self._run = None

    def _mode(self, settings: Any, key: dict[str, str] | None) -> tuple[str, str]:
        """online, offline or disabled, and the reason."""
        if self.mode == "offline":
            return "offline", "tracker.mode=offline"
        if self.mode == "online":
            return "online", ""
        if settings.mode != "online":
            return settings.mode, f"W&B's own mode is {settings.mode}"
        if key is None:
            return "offline", f"no key for {settings.base_url}"
        reason = unreachable(settings.base_url, self.probe_seconds)
        return ("offline", reason) if reason else ("online", "")

    def _online(self, key: dict[str, str] | None) -> Any:
        import wandb

        try:
            run = self._init("online", key)
        except Exception as error:
            wandb.teardown()  # else the run's id stays taken
            return self._offline(f"{type(error).__name__}: {error}")
        log.info("W&B: %s", run.url)
        return run

    def _offline(self, reason: str) -> Any:
        run = self._init("offline", None)
        # A resumed job leaves one folder for each time it ran; W&B uploads them as one run, in this order.
        folders = sorted(self._job.directory.resolve().glob(f"wandb/offline-run-*-{run.id}"))
        log.warning("W&B is offline (%s); to upload: %s", reason, shlex.join(["wandb", "sync", *map(str, folders)]))
        return run

    def _init(self, mode: Literal["online", "offline"], key: dict[str, str] | None) -> Any:
        import wandb

        return wandb.init(
            dir=self._job.directory,
            project=self.project,
            entity=self.entity,
            group=self.group,
            name=self.name,
            tags=self.tags or None,
            config={**self._job.config, "choices": dict(self._job.choices)},
            id=_run_id(self._job.directory),
            resume="allow",
            reinit="create_new",
            mode=mode,
            settings=SETTINGS | (key or {}),
        )

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
        self._run.log_artifact(artifact)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:  # W&B leaves by SystemExit when its service has died
            self._run = None
            log.warning("W&B is off for the rest of this job (%s: %s)", type(error).__name__, error)


def _run_id(directory: Path) -> str:
    path = directory / "wandb" / "run_id"
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(secrets.token_hex(4))
    return path.read_text()


def _without_nulls(results: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in results.items()
        if value is not None
    }
