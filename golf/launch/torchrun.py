"""`torchrun --nproc_per_node=8 -m golf …`: torch's launcher has started the ranks, and this is one of them."""

import os

from golf.errors import UserError, require

NO_SWEEP = "a sweep (-m) cannot run under torchrun: use python -m golf -m launch.nproc_per_node=N instead"


def active() -> bool:
    """Whether this process is one of several that torchrun, or something that sets the same variables, started."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def is_follower() -> bool:
    """Whether another rank composes and says what to do."""
    return active() and os.environ["RANK"] != "0"


def follow() -> int:
    """Run what rank 0 composes, and return the exit code. A mistake of the user is told by rank 0."""
    from golf.launch import worker

    try:
        worker.work(None)
    except UserError as error:
        worker.report(error)
        return error.code
    return 0


def refuse_sweep(arguments: list[str]) -> None:
    """Raise UserError if the command line asks for a sweep: its jobs would all need these ranks."""
    require(not {"-m", "--multirun"} & set(arguments), NO_SWEEP)


def release() -> None:
    """Let the followers go, where rank 0 has composed nothing to run."""
    from golf import dist
    from golf.launch import worker

    if not dist.was_started():
        worker.work(None)


def leave(code: int) -> None:
    """End this rank, in the way that is right for one."""
    from golf import dist

    dist.leave(code)
