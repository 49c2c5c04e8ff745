"""The launcher: Hydra composes a configuration, the check passes it, the pipeline runs it."""

import os
import re
import signal
import sys
import traceback
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from itertools import count, pairwise, takewhile
from logging.config import dictConfig
from pathlib import Path
from typing import Any

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from golf.build import build
from golf.config.arguments import check_arguments
from golf.config.composed import checked, overridden, own_folders, plain
from golf.config.explain import explain
from golf.config.override import with_home
from golf.errors import Ended, Stopped, UserError, require
from golf.io.run_directory import CONFIG, MULTIRUN
from golf.launch import torchrun
from golf.launch.elastic import WorkerError
from golf.launch.task import Task
from golf.paths import PACKAGE, config_dir
from golf.resume.command import resume_command
from golf.sweep import gpus, status
from golf.sweep.interrupts import run_unless_interrupted
from golf.sweep.job_name import job_name, variant
from golf.sweep.jobs import belongs
from golf.sweep.sweep import sweep_of
from golf.utils import stdio
from golf.utils.cli import exit_code
from golf.utils.run_lock import remove_if_empty
from golf.utils.terminal import print_error

# Hydra instantiates sweepers of the packages `hydra_plugins` along the path only, registered or not.
sys.path.append(str(PACKAGE / "plugins"))

_claimed: list[Path] = []  # directories that `claim` made in this process, inner ones first


def main() -> int:
    """Do what the command line asks for and return the exit code.

    0: it went well. 1: a worker process of the job died, or jobs of a sweep failed. 2: a mistake of the user, told in
    one line (after a traceback for those who set HYDRA_FULL_ERROR=1). 3: a loss, a gradient or a weight was not finite,
    told in one line too. 130: interrupted. What is nobody's mistake but the program's is raised, and Stopped where a
    signal ended a job.
    """
    # PyTorch's threads wait for each other by spinning, for so long that on two busy cores a job takes ten times as
    # long as its share. This many turns are enough where they have a core each. Read when torch is first imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    stdio.protect()
    if not torchrun.active():
        return lead()
    code = exit_code(lambda: torchrun.as_rank(lead))
    torchrun.leave(code)
    return code


def lead() -> int:
    """Compose and run."""
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors, which it would else print over several lines
    if "--version" in sys.argv[1:]:  # Hydra would print its own
        print(f"golf {version('golf')}")
        return 0
    try:
        if sys.argv[1:2] == ["resume"]:
            resume(sys.argv[2:])
        else:
            compose()
        return 0
    except KeyboardInterrupt:
        stopped = Stopped(signal.SIGINT)
        print_error(stopped)
        return stopped.exit_code
    except (Ended, Exception) as error:
        code = 2
        if isinstance(error, Ended | UserError):
            message, code = str(error), error.code
        elif any(frame.f_code in OURS for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        else:  # Hydra could not compose what it was given
            message = explain(error, groups=[path.name for path in config_dir().iterdir() if path.is_dir()])
        if traceback_wanted:
            traceback.print_exc()
        print_error(message if code == 1 else re.sub(r"\s*\n\s*", " ", message.strip()))
        return code
    finally:
        for directory in _claimed:
            remove_if_empty(directory)  # a mistake leaves nothing behind
        if torchrun.active():
            torchrun.release()


def compose() -> None:
    """Compose what the command line asks for, and run it."""
    sys.argv[1:] = map(with_home, _whole(sys.argv[1:]))
    require("${" not in os.getcwd(), f"{os.getcwd()}: ${{ is a reference to Hydra; work in another directory")
    if torchrun.active():
        torchrun.refuse_sweep(sys.argv[1:])
    check_arguments(sys.argv[1:])
    hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(run_job)()


def resume(arguments: list[str]) -> None:
    """`golf resume DIR`."""
    from golf.launch.resume import parse, sweep_arguments, task_of  # imports torch, which --help must not

    directory, overrides = parse(arguments)
    if (directory / MULTIRUN).is_file():
        sys.argv[1:] = sweep_arguments(directory, overrides)
        compose()
    else:
        task = task_of(directory, overrides)
        dictConfig(dict(task.logging))
        launch(task)


def _whole(arguments: list[str]) -> list[str]:
    """`--cfg hydra --resolve` in words that Hydra can do: it would cut its own part off before it resolves what refers
    to the rest."""
    split = [part for given in arguments for part in (given.split("=") if given.startswith("--cfg=") else [given])]
    for i, pair in enumerate(pairwise(split)):
        if "--resolve" in split and pair in (("--cfg", "hydra"), ("-c", "hydra")):
            return [*split[:i], "--cfg", "all", "--package", "hydra", *split[i + 2 :]]
    return arguments


def claim(directory: str) -> str:
    """Make a new `directory` for a run and return its path, with a suffix if another run has taken that name."""
    for number in count(1):
        path = Path(directory if number == 1 else f"{directory}-{number}")
        new = [path, *takewhile(lambda parent: not parent.exists(), path.parents)]
        with suppress(FileExistsError):
            path.mkdir(parents=True)
            break
    _claimed.extend(folder.absolute() for folder in new)
    return str(path)


def sweep_directory(directory: str) -> str:
    """The same for a sweep, whose jobs may run where the working directory is another."""
    return str(Path(claim(directory)).absolute())


# Here and not in `main`, since a sweep's jobs may be run by processes that only import `run_job`.
OmegaConf.register_new_resolver("claim", claim, use_cache=True, replace=True)
OmegaConf.register_new_resolver("sweep_directory", sweep_directory, use_cache=True, replace=True)
OmegaConf.register_new_resolver("job_name", job_name, replace=True)
OmegaConf.register_new_resolver("gpus_at_most", gpus.at_most, replace=True)
OmegaConf.register_new_resolver("gpus_from_zero", gpus.from_zero, replace=True)


def run_job(cfg: DictConfig) -> float | tuple[float, ...] | None:
    """One run, or one job of a sweep; a job returns its objectives (golf.sweep.sweep), or None if it failed."""
    job = HydraConfig.get()
    if job.mode != RunMode.MULTIRUN:
        run(cfg, job)
        return None
    if torchrun.active():
        raise Ended(torchrun.NO_SWEEP, code=2)
    os.chdir(job.runtime.cwd)  # where a cluster's worker may not have begun, and what other paths are relative to
    directory, sweep = Path(job.runtime.output_dir), sweep_of(cfg)

    def work() -> dict[str, float]:
        results = run(cfg, job, sweep=directory.parent)
        return {} if results is None else sweep.values(results)

    def here(done: bool) -> bool:
        return belongs(cfg, job, directory, with_data=done)  # without, the job looks at them itself

    # Of several hosts, each of which runs this for the same job, the first keeps its status.
    main = cfg.launch.get("node_rank", 0) == 0
    once = partial(status.run_once, directory, job.overrides.task, sweep.objectives, work, here, main=main)
    return run_unless_interrupted(job.launcher, once)


def run(cfg: DictConfig, job: HydraConf, sweep: Path | None = None) -> dict[str, Any] | None:
    """Check the configuration and run it, as a job of the sweep in a directory if there is one.

    Returns the content of results.json; None on a host that does not hold rank 0.
    """
    directory = Path(job.runtime.output_dir)
    try:
        config = checked(cfg, job)
        build(config["sweep"]).check()
    except UserError as error:
        raise Ended(str(error), code=error.code) from error
    if sweep is not None:
        os.environ.pop("WANDB_RUN_ID", None)  # of the one run that an agent of W&B's waits for
        group = f"{sweep.parent.name}/{sweep.name}"
        names = {"group": group, "name": directory.name, "variant": variant(job.overrides.task)}
        config["tracker"] |= {key: name for key, name in names.items() if config["tracker"].get(key, "") is None}
    task = Task(
        config=config,
        directory=str(directory),
        choices={key: str(option) for key, option in job.runtime.choices.items() if not key.startswith("hydra/")},
        overridden=overridden(job),
        label="" if job.runtime.choices["hydra/launcher"] == "basic" else f"{directory.name}  ",
        sys_path=own_folders(job),
        logging=plain(job.job_logging),
    )
    return launch(task, sweep)


def launch(task: Task, sweep: Path | None = None) -> dict[str, Any] | None:
    """Run it, as a job of the sweep in a directory if there is one. Its results; None on a host without rank 0."""
    try:
        results: dict[str, Any] | None = build(task.config["launch"]).run(task, fresh=sweep is not None)
        return results
    except UserError as error:
        raise Ended(str(error), code=error.code) from error
    except WorkerError as error:
        raise Ended(str(error), code=1) from error
    except (Stopped, KeyboardInterrupt) as error:
        stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        if sweep is not None:  # whose end tells how to go on
            raise stopped from None
        again = f"; {resume_command(task.directory)} goes on" if Path(task.directory, CONFIG).is_file() else ""
        raise Ended(f"{stopped}{again}", code=stopped.exit_code) from None


OURS = (run_job.__code__, launch.__code__)  # what is raised in them and is no UserError, is a fault of the program
