"""`golf resume DIR`: what it goes on with, a run or a sweep, as that was started."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from golf.config.check import check
from golf.config.composed import add_to_path
from golf.config.override import hydra_value
from golf.errors import UserError, require
from golf.io.run_directory import CONFIG, MULTIRUN, read_config
from golf.launch.task import Task
from golf.paths import absolute
from golf.run import identity
from golf.utils.reading import read_yaml


def parse(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """The directory and the overrides of `golf resume DIR [OVERRIDE ...]`."""
    parser = argparse.ArgumentParser(
        prog="golf resume",
        description="Go on with the run or the sweep in a directory, with its own configuration: what is done stays.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="of a run, or of a sweep")
    advice = "of what changes no result, or overwrite=true"
    parser.add_argument("overrides", nargs="*", default=[], metavar="OVERRIDE", help=advice)
    parsed = parser.parse_args(arguments)
    return absolute(parsed.directory), parsed.overrides


def task_of(directory: Path, overrides: Sequence[str]) -> Task:
    """The run in `directory`, with the configuration of its config.yaml. The working directory and the path for imports
    become those that it was started with. Raises UserError if there is no run."""
    kept = identity.read(directory)
    if kept is None or not (directory / CONFIG).is_file():
        raise UserError(f"{directory}: is no directory of a run or a sweep that can go on (no {CONFIG} or {MULTIRUN})")
    started = kept["started"]
    try:
        cfg = OmegaConf.create(dict(read_config(directory)))
        cfg.merge_with_dotlist(["overwrite=false", *overrides])
        config: Any = OmegaConf.to_container(cfg)
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(overrides) or directory / CONFIG}: {error}") from error
    _change_to(started["cwd"])
    add_to_path(started["sys_path"])
    check(config)
    # As if all of it stood on the command line: what a run reads has had its say in the configuration before.
    return Task(
        config=config,
        directory=str(directory),
        choices=started["choices"],
        overridden=list(config),
        label="",
        sys_path=started["sys_path"],
        logging=started["logging"],
    )


def sweep_arguments(directory: Path, overrides: Sequence[str]) -> list[str]:
    """The command line of the sweep in `directory`, to be run there again, in the working directory that it was run in.

    Raises UserError if the sweep's multirun.yaml cannot be read.
    """
    path = directory / MULTIRUN
    try:
        hydra = read_yaml(path)["hydra"]
        own = [source["path"] for source in hydra["runtime"]["config_sources"] if source["provider"] == "command-line"]
        before = [*hydra["overrides"]["hydra"], *hydra["overrides"]["task"]]
        cwd = hydra["runtime"]["cwd"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: is none of Hydra's ({error!r})") from error
    _change_to(cwd)
    now = [f"hydra.sweep.dir={hydra_value(directory)}", *overrides]
    replaced = {"hydra.mode", "overwrite", *map(_key, now)}
    return [*(f"--config-dir={folder}" for folder in own), "-m", *(o for o in before if _key(o) not in replaced), *now]


def _change_to(cwd: str) -> None:
    """Paths in the configuration are relative to it."""
    require(Path(cwd).is_dir(), f"{cwd}: is gone, where this was started")
    os.chdir(cwd)


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]
