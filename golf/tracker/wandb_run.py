"""One W&B run for one directory: online where it can be, offline where it must, and never a question asked."""

import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from golf.atomic import replacing
from golf.shell import quote
from golf.tracker.online import credentials, unreachable

log = logging.getLogger(__name__)

Mode = Literal["auto", "online", "offline"]
SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "save_code": False,
    "disable_git": True,
    # What a server that has gone away in mid-run may cost at the end, which W&B would wait for without end.
    "finish_timeout": 60.0,
    "finish_timeout_raises": True,
}


def own_settings() -> tuple[Any, dict[str, str] | None]:
    """W&B's own settings from all their sources, and what they lack to log in (see `credentials`): None is no key."""
    import wandb

    settings = wandb.setup(wandb.Settings(**SETTINGS)).settings
    return settings, credentials(settings)


def start(directory: Path, *, mode: Mode, probe_seconds: float, **options: Any) -> Any:
    """The run of `directory`, new or continued; None where W&B's own settings disable it. `options`: of `wandb.init`.

    With `mode` auto, W&B's own settings (WANDB_MODE, `wandb offline`) decide first; then a key and an answer from the
    server within `probe_seconds` make it online, otherwise it is offline and says how to upload later. All files lie in
    `wandb/` in the directory. `finish` ends it.
    """
    import wandb

    # What no setting says: where artifacts are staged and the service logs, and that no report of W&B's own holds up
    # the end of the job for 10 s where the server does not answer.
    os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str((directory / "wandb").resolve())
    os.environ["WANDB_ERROR_REPORTING"] = "false"

    def init(mode: Literal["online", "offline"], key: dict[str, str]) -> Any:
        return wandb.init(
            dir=directory,
            id=_run_id(directory),
            resume="allow",
            reinit="create_new",
            mode=mode,
            settings=SETTINGS | key,
            **options,
        )

    settings, key = own_settings()
    decided, reason = _decide(mode, settings, key, probe_seconds)
    if decided == "disabled":
        return None
    if decided == "online":
        try:
            run = init("online", key or {})
        except Exception as error:
            wandb.teardown()  # else the run's id stays taken
            reason = f"{type(error).__name__}: {error}"
        else:
            log.info("W&B: %s", run.url)
            return run
    run = init("offline", {})
    # A resumed job leaves one folder for each time it ran; W&B uploads them as one run, in this order.
    folders = sorted(directory.resolve().glob(f"wandb/offline-run-*-{run.id}*"))
    log.warning("W&B is offline (%s); to upload: %s", reason, _sync(folders))
    return run


def finish(run: Any, *, exit_code: int) -> None:
    """End a run that `start` gave. If the server does not take everything, a warning says how to upload it later."""
    import wandb

    folder, seconds = Path(run.settings.sync_dir), SETTINGS["finish_timeout"]
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        log.warning("W&B has not taken everything within %g s; to upload: %s", seconds, _sync([folder]))
    wandb.teardown()  # the next run in this process has other directories


def _sync(folders: Iterable[Path]) -> str:
    """The command that uploads them."""
    return " ".join(["wandb sync", *map(quote, folders)])


def _decide(mode: Mode, settings: Any, key: dict[str, str] | None, probe_seconds: float) -> tuple[str, str]:
    """online, offline or disabled, and the reason."""
    if mode == "offline":
        return "offline", "tracker.mode=offline"
    if mode == "auto" and settings.mode != "online":
        return settings.mode, f"W&B's own mode is {settings.mode}"
    if key is None:
        return "offline", f"no key for {settings.base_url}"
    reason = unreachable(settings.base_url, probe_seconds) if mode == "auto" else None
    return ("offline", reason) if reason else ("online", "")


def _run_id(directory: Path) -> str:
    path = directory / "wandb" / "run_id"
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(secrets.token_hex(4))
    return path.read_text()
