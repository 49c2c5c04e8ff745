"""One W&B run per directory: online if possible, else offline, and without prompts."""

import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from golf.errors import UserError, one_line
from golf.tracker.online import credentials, unreachable
from golf.utils.atomic import atomic_write
from golf.utils.shell import quote

log = logging.getLogger(__name__)

Mode = Literal["auto", "online", "offline"]
SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "save_code": False,
    "disable_git": True,
    "init_timeout": 10.0,  # seconds; an online start that takes longer becomes an offline one
    # Bounds the wait at the end for a server that disappeared in mid-run; W&B would wait forever.
    "finish_timeout": 60.0,
    "finish_timeout_raises": True,
}


def own_settings(**more: Any) -> tuple[Any, dict[str, str] | None]:
    """W&B's own settings from all sources, and those to add to log in (see `credentials`; None without a key).

    `more` is added to the settings. Raises UserError for settings that W&B rejects.
    """
    import wandb
    from pydantic import ValidationError

    try:
        settings = wandb.setup(wandb.Settings(**SETTINGS, **more)).settings
    except ValidationError as error:
        wrong, *_ = error.errors()
        name = str(wrong["loc"][0]) if wrong["loc"] else "settings"
        where = f"see WANDB_{name.upper()} and W&B's settings files"
        raise UserError(f"W&B takes no {name}={wrong['input']} ({wrong['msg']}); {where}") from error
    except Exception as error:
        raise UserError(f"W&B's own settings cannot be read ({one_line(error)})") from error
    return settings, credentials(settings)


def start(directory: Path, *, mode: Mode, probe_seconds: float, **options: Any) -> Any:
    """The run of `directory`, new or continued; None where W&B's own settings disable it. `options`: of `wandb.init`.

    With `mode` auto, W&B's own settings (WANDB_MODE, `wandb offline`) decide first; then a key and an answer from the
    server within `probe_seconds` make it online, otherwise it is offline and logs how to upload later. All files are in
    `wandb/` in the directory. `finish` ends it.
    """
    import wandb

    # What no setting says: where artifacts are staged and the service logs, and that no report of W&B's own holds up
    # the end of the job for 10 s where the server does not answer.
    os.environ["WANDB_DATA_DIR"] = os.environ["WANDB_CACHE_DIR"] = str((directory / "wandb").resolve())
    os.environ["WANDB_ERROR_REPORTING"] = "false"

    def init(mode: Literal["online", "offline"], key: dict[str, str]) -> Any:
        own_settings(run_id=_run_id(directory))  # which as an argument of `init` an agent overrules
        return wandb.init(
            dir=directory,
            resume="allow",
            reinit="create_new",
            mode=mode,
            settings=SETTINGS | key,
            **_encodable(options),
        )

    settings, key = own_settings()
    decided, reason = _decide(mode, settings, key, probe_seconds)
    if decided == "disabled":
        return None
    if decided == "online":
        try:
            run = init("online", key or {})
        except Exception as error:
            _end_service()  # else the run's id stays taken
            reason = one_line(error)
        else:
            log.info("W&B: %s", run.url)
            return run
    run = init("offline", {})
    # A resumed job leaves one folder for each time it ran; W&B uploads them as one run, in this order.
    folders = sorted(directory.resolve().glob(f"wandb/offline-run-*-{run.id}*"))
    log.warning("W&B is offline (%s); to upload: %s", reason, _sync(folders))
    return run


def finish(run: Any, *, exit_code: int) -> None:
    """End a run of `start`. If the server does not receive everything, a warning gives the command to upload it."""
    folder, seconds = Path(run.settings.sync_dir), SETTINGS["finish_timeout"]
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        log.warning("W&B has not received everything within %g s; to upload: %s", seconds, _sync([folder]))
    _end_service()  # the next run in this process has other directories


def _end_service() -> None:
    """Raises RuntimeError if W&B's service has died, where W&B itself ends the process."""
    import wandb

    try:
        wandb.teardown()
    except SystemExit as error:
        raise RuntimeError(f"W&B's service has ended with the code {error.code}") from error


def _encodable(options: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values without lone surrogates, to which Python decodes the bytes of a path that are not UTF-8."""
    encodable: dict[str, Any] = json.loads(json.dumps(options, ensure_ascii=False).encode(errors="replace"))
    return encodable


def _sync(folders: Iterable[Path]) -> str:
    """The command that uploads the folders."""
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
    """The id of the directory's run: a new one, or under `wandb agent` the agent's."""
    path = directory / "wandb" / "run_id"
    if not path.exists():
        expected = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        with atomic_write(path) as temporary:
            temporary.write_text(expected or secrets.token_hex(4))
    return path.read_text()
