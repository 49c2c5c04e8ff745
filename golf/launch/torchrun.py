"""`torchrun --nproc_per_node=8 -m golf …`: torch's launcher has started the ranks, and this is one of them."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from golf.errors import Stopped, UserError, require
from golf.paths import config_dir

NO_SWEEP = "a sweep (-m) cannot run under torchrun: use python -m golf -m launch.nproc_per_node=N instead"
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
ADVICE = f"unset {', '.join(VARIABLES)} where they are left from something else, or start golf by torchrun"


def active() -> bool:
    """Whether this process is one of several that torchrun, or something that sets the same variables, started."""
    return not {"RANK", "WORLD_SIZE"}.isdisjoint(os.environ)


def as_rank(lead: Callable[[], int]) -> int:
    """`lead` on rank 0, do what it says on the others, and return the exit code. Raises UserError for variables that
    are not as torchrun sets them."""
    for name in VARIABLES:
        require(bool(os.environ.get(name)), f"{name} is not set, as {VARIABLES[name == 'RANK']} is: {ADVICE}")
    world_size, local_world_size = _number("WORLD_SIZE", 1), _number("LOCAL_WORLD_SIZE", 1)
    rank = _number("RANK", 0, world_size)
    _number("LOCAL_RANK", 0, local_world_size)
    _number("MASTER_PORT", 1, 2**16)
    try:
        return lead() if rank == 0 else follow()
    except KeyboardInterrupt:
        return 130
    except Stopped as stopped:
        return stopped.exit_code


def _number(name: str, least: int, below: int | None = None) -> int | None:
    """The variable's value; None if it is not set, or raises UserError unless it is a whole number in the range."""
    text = os.environ.get(name)
    if text is None:
        return None
    allowed = f"at least {least}" if below is None else f"from {least} to {below - 1}"
    fits = text.isdecimal() and least <= int(text) and (below is None or int(text) < below)
    require(fits, f"{name}={text} is no whole number {allowed}: {ADVICE}")
    return int(text)


def follow() -> int:
    """Run what rank 0 composes, and return the exit code. A mistake of the user is told by rank 0."""
    from golf.launch import worker

    try:
        worker.work(None)
    except UserError as error:
        worker.report(error)
        return error.code
    return 0


def launch_config(arguments: list[str]) -> Mapping[str, Any]:
    """The group `launch`, for ranks that compose nothing: its default option, and what the command line changes."""
    config: dict[str, Any] = yaml.safe_load((config_dir() / "launch" / "elastic.yaml").read_text(encoding="utf-8"))
    for key, _, value in (argument.partition("=") for argument in arguments):
        name = key.removeprefix("launch.")
        if key != name and name in config:
            config[name] = yaml.safe_load(value)
    return config


def refuse_sweep(arguments: list[str]) -> None:
    """Raise UserError if the command line asks for a sweep: its jobs would all need these ranks."""
    require(not {"-m", "--multirun"} & set(arguments), NO_SWEEP)


def release() -> None:
    """Let the followers go, where rank 0 has composed nothing to run."""
    from golf.launch import worker

    if not worker.has_begun():
        worker.work(None)


def leave(code: int) -> None:
    """End this rank, in the way that is right for one."""
    from golf.runtime import dist

    dist.leave(code)
