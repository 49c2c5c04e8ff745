"""`python -m golf` in this process, which spares each command the imports. The processes that it starts are real."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from golf.__main__ import main


def golf(cwd: Path, *arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run `golf` with these arguments in `cwd`; what its workers print is not in the output.

    environment: what is other than here; of W&B and Hydra there is nothing else."""
    command = ["golf", *arguments]
    with _process(cwd, command, environment) as (out, err):
        try:
            code = main()
        except SystemExit as end:  # after --help
            code = end.code
    return CompletedProcess(command, code, out.getvalue(), err.getvalue())


@contextmanager
def _process(cwd: Path, command: list[str], environment: dict[str, str]) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """What a process has to itself: arguments, working directory, environment, what it prints, its logging, and the
    modules that it finds there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "HYDRA_"))}
    before = {logger: (logger.handlers[:], logger.level, logger.disabled) for logger in _loggers()}
    modules, path = set(sys.modules), sys.path[:]
    try:
        with (
            patch.object(sys, "argv", command),
            patch.dict(os.environ, kept | environment, clear=True),
            chdir(cwd),
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as err,
        ):
            yield out, err
    finally:
        if "wandb" in sys.modules:  # it keeps the environment of its first use
            sys.modules["wandb"].teardown()
        for logger in _loggers():
            logger.handlers[:], level, logger.disabled = before.get(logger, ([], logging.NOTSET, False))
            logger.setLevel(level)
        sys.path[:] = path
        for name in sys.modules.keys() - modules:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(cwd):
                del sys.modules[name]


def _loggers() -> list[logging.Logger]:
    known = logging.Logger.manager.loggerDict.values()
    return [logging.getLogger(), *(logger for logger in known if isinstance(logger, logging.Logger))]
