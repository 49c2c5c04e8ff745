"""run.json: the identity of a directory's run, written when it starts.

Runs are the same if their resolved configuration, inputs, code and data are: the content of the keys of their stages
(golf.stages.key), except what changes only rounding, such as the device and the number of processes.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from golf.errors import UserError, require
from golf.io.forms import Run
from golf.io.run_directory import MULTIRUN, RUN, occupant
from golf.resume.command import resume_command
from golf.stages.key import code_digest
from golf.stages.order import names_of
from golf.stages.stage import Stage
from golf.utils.reading import read_json


def identity(
    stages: Sequence[Stage], config: Mapping[str, Any], inputs: Mapping[str, str], data: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The identity of the run of these stages, as JSON values.

    inputs: SHA-256 by name of the files of another run; data: Dataset.digests, or None to compare everything except
    the data.
    """
    groups = dict.fromkeys(group for stage in stages for group in stage.groups)
    made = {
        "config": {"stages": names_of(stages), **{group: config[group] for group in groups}},
        "input": dict(inputs),
        "code": {stage.name: code_digest(stage, config) for stage in stages},
    }
    return made if data is None else {**made, "data": dict(data)}


def holds(directory: Path, run: Mapping[str, Any], overwrite: bool) -> bool:
    """Whether `directory` has this run, finished or not; False if it has none.

    run: its identity. Raises UserError if the directory has a sweep, or another run that may not be overwritten.
    """
    found = occupant(directory)
    if found is None:
        return False
    if found == MULTIRUN:
        message = f"{directory}: is a sweep's directory; give another hydra.run.dir"
        raise UserError(f"{message}, or go on with the sweep by {resume_command(directory)}")
    kept = read(directory)
    other = f"{found}, but no {RUN}" if kept is None else difference(kept["identity"], run)
    if other is None:
        return True
    advice = "give another hydra.run.dir or hydra.sweep.dir, or overwrite=true to replace it"
    require(overwrite, f"{directory}: holds another run ({other}); {advice}")
    return False


def read(directory: Path) -> Run | None:
    """The content of run.json, None without it. Raises UserError if it cannot be read."""
    path = directory / RUN
    try:
        return read_json(path, Run) if path.exists() else None
    except UserError as error:
        raise UserError(f"{error}; give another directory") from error


def difference(kept: Mapping[str, Any], run: Mapping[str, Any]) -> str | None:
    """The first difference between the saved run and `run`, None if they are the same."""
    for kind, mine in run.items():
        theirs = kept[kind]
        if theirs == mine:
            continue
        if kind == "config":
            return _first("", theirs, mine)
        names = [name for name in {**theirs, **mine} if theirs.get(name) != mine.get(name)]
        return f"other {kind}: {', '.join(names)}"
    return None


def _first(key: str, theirs: Any, mine: Any) -> str:
    """The first key below `key` that differs, with both values."""
    if isinstance(theirs, Mapping) and isinstance(mine, Mapping):
        name = next(name for name in {**theirs, **mine} if theirs.get(name, ...) != mine.get(name, ...))
        return _first(f"{key}.{name}".lstrip("."), theirs.get(name, ...), mine.get(name, ...))
    there, here = ("absent" if value is ... else json.dumps(value, ensure_ascii=False) for value in (theirs, mine))
    return f"{key} is {there} there and {here} here"
