"""The ablations of a sweep in Weights & Biases: one run of type `report` in the sweep's group.

It has a table `ablations/<metric>` for each metric, with the columns COLUMNS and one row for each variant. A table, not
a value for each variant, since the panels of a workspace are named before the variants are known.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from golf.tracker import wandb_run

log = logging.getLogger(__name__)

COLUMNS = ("group", "variant", "baseline", "seeds", "mean", "low", "high", "p")


def log_deltas(deltas: Sequence[Mapping[str, Any]], directory: Path, tracker: Mapping[str, Any]) -> None:
    """Log `deltas` beside the runs that `tracker` tracked; a report in the same directory again continues its run.

    A delta is the mean difference of `metric`, `variant` minus `baseline`, over pairs of runs with equal seeds, `seeds`
    in number, with the ends `low` and `high` of its 95 % confidence interval and the `p` of the paired test (None if
    undefined). `directory` is the report's; all files are in `wandb/` in it. `tracker` is the configuration of
    golf.tracker.wandb. Errors of W&B become one warning and are never raised.
    """
    group = tracker["group"]
    try:
        run = wandb_run.start(
            directory,
            **{key: tracker[key] for key in ("mode", "probe_seconds", "project", "entity", "group")},
            name=f"report of {group or 'runs'}",
            job_type="report",
        )
        if run is not None:
            try:
                run.log(_tables(deltas, group))
            finally:
                wandb_run.finish(run, exit_code=0)
    except (Exception, SystemExit) as error:  # W&B leaves by SystemExit when its service has died
        log.warning("W&B has not received the ablations (%s: %s)", type(error).__name__, error)


def _tables(deltas: Sequence[Mapping[str, Any]], group: str | None) -> dict[str, Any]:
    import wandb

    rows: dict[str, list[list[Any]]] = {}
    for delta in deltas:
        row = {**delta, "group": group}
        rows.setdefault(f"ablations/{delta['metric']}", []).append([row[column] for column in COLUMNS])
    return {name: wandb.Table(columns=list(COLUMNS), data=data) for name, data in rows.items()}
