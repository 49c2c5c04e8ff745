"""The launcher: Hydra composes a configuration, the check passes it, the pipeline runs it."""

import os
import re
import sys
import traceback
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from golf.build import build
from golf.config.check import check
from golf.config.explain import explain
from golf.errors import UserError
from golf.launch import torchrun
from golf.launch.elastic import WorkerError
from golf.launch.task import Task
from golf.paths import config_dir

_claimed: set[str] = set()  # directories that `claim` made in this process


class Ended(BaseException):
    """The end of a job on its way through Hydra, which would print a line of its own about an Exception."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


def main() -> int:
    """Do what the command line asks for and return the exit code.

    0: it went well. 1: a worker process of the job died. 2: a mistake of the user, told in one line (after a traceback
    for those who set HYDRA_FULL_ERROR=1). 130: interrupted. What is nobody's mistake but the program's is raised.
    """
    # PyTorch's threads wait for each other by spinning, for so long that on two busy cores a job takes ten times as
    # long as its share. This many turns are enough where they have a core each. Read when torch is first imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if torchrun.is_follower():
        return torchrun.follow()
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors, which it would else print over several lines
    OmegaConf.register_new_resolver("claim", claim, use_cache=True, replace=True)
    try:
        if torchrun.active():
            torchrun.refuse_sweep(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(run_job)()
        return 0
    except KeyboardInterrupt:
        return 130
    except (Ended, Exception) as error:
        code = 2
        if isinstance(error, Ended):
            message, code = str(error), error.code
        elif isinstance(error, UserError):
            message = str(error)
        elif any(frame.f_code is run_job.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        else:  # Hydra could not compose what it was given
            message = explain(error, groups=[path.name for path in config_dir().iterdir() if path.is_dir()])
        if traceback_wanted:
            traceback.print_exc()
        print(f"golf: error: {message if code == 1 else ' '.join(message.split())}", file=sys.stderr)
        return code
    finally:
        if torchrun.active():
            torchrun.release()


def claim(directory: str) -> str:
    """Make a new `directory` for a run and return its path, with a suffix if another run has taken that name."""
    Path(directory).parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = Path(directory if number == 1 else f"{directory}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            break
    _claimed.add(str(path.absolute()))
    return str(path)


def run_job(cfg: DictConfig) -> float | None:
    """One run, or one run of a sweep; returns its val_bpb (None if nothing was evaluated) for sweepers."""
    job = HydraConfig.get()
    directory = Path(job.runtime.output_dir)
    # Classes beside a user's own YAML files; last, so that they hide nothing that is installed.
    own = [s.path for s in job.runtime.config_sources if s.provider == "command-line" and s.path not in sys.path]
    sys.path += own
    try:
        config = plain(cfg)
        check(config)
        task = Task(
            config=config,
            directory=str(directory),
            choices={key: str(option) for key, option in job.runtime.choices.items() if not key.startswith("hydra/")},
            overridden=sorted(re.split("[=@]", override.lstrip("+~"))[0] for override in job.overrides.task),
            sys_path=own,
            logging=plain(job.job_logging),
        )
        results = build(config["launch"]).run(task)
        return None if results is None else results["val_bpb"]
    except UserError as error:
        raise Ended(str(error), code=2) from error
    except WorkerError as error:
        raise Ended(str(error), code=1) from error
    finally:
        if {str(directory), str(directory.parent)} & _claimed:
            with suppress(OSError):
                directory.rmdir()  # a job that wrote nothing leaves nothing behind


def plain(cfg: Any) -> dict[str, Any]:
    """`cfg` as plain dicts and lists with interpolations resolved; raises UserError where one cannot be."""
    try:
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(explain(error)) from error
