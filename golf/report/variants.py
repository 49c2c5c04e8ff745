"""Groups runs that differ only in their seed, and names the differences of the groups."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from golf.report.runs import Run, differing

SEED = "${seed}"  # stands for a value that is the seed


def variants(runs: Sequence[Run], groups: frozenset[str] | None = None) -> dict[str, list[Run]]:
    """The runs by variant, in their order. A variant's name lists the overrides that not all runs share:
    `ttt.epochs=0`, `quantizer=rtn`, `experiment=tiny ttt=none`.

    groups: compare the configuration of these only; all if None.
    """
    found: dict[str, list[Run]] = {}
    for run, name in zip(runs, _names(runs, groups), strict=True):
        found.setdefault(name, []).append(run)
    return found


def latest(runs: Sequence[Run]) -> list[Run]:
    """One run per seed of a variant, the latest."""
    return list({run.seed: run for run in runs}.values())


def by_seed(runs: Sequence[Run], metric: str = "val_bpb") -> dict[int, float]:
    """A variant's scores by seed."""
    return {run.seed: run.results[metric] for run in latest(runs)}


def _names(runs: Sequence[Run], groups: frozenset[str] | None) -> list[str]:
    configs = [_without_seed(run.config, groups) for run in runs]
    experiments = [str(run.results["choices"].get("experiment")) for run in runs]
    several = len(set(experiments)) > 1 and differing(configs)
    names = []
    for config, run, experiment in zip(configs, runs, experiments, strict=True):
        alike = [i for i, other in enumerate(experiments) if other == experiment]
        parts = _parts((config, run.results["choices"]), [(configs[i], runs[i].results["choices"]) for i in alike])
        names.append(" ".join([f"experiment={experiment}"] * several + parts) or f"experiment={experiment}")
    return names


Configured = tuple[Mapping[str, Any], Mapping[str, Any]]  # a configuration, and the options that were chosen


def _parts(one: Configured, all_: Sequence[Configured]) -> list[str]:
    parts = []
    config, choices = one
    for group in dict.fromkeys(group for other, _ in all_ for group in other):
        if not differing([other.get(group) for other, _ in all_]):
            continue
        if differing([chosen.get(group) for _, chosen in all_]):
            parts.append(f"{group}={choices.get(group)}")
        same = [other.get(group) for other, chosen in all_ if chosen.get(group) == choices.get(group)]
        mine = config.get(group)
        if not isinstance(mine, Mapping):
            continue
        for key, value in mine.items():
            if differing([other.get(key) for other in same if other is not None]):
                parts.append(f"{group}.{key}={_show(value)}")
    return parts


def _without_seed(config: Mapping[str, Any], groups: frozenset[str] | None) -> dict[str, Any]:
    seed = config.get("seed")
    return {
        group: {key: SEED if key == "seed" and value == seed else value for key, value in values.items()}
        for group, values in config.items()
        if isinstance(values, Mapping) and (groups is None or group in groups)
    }


def _show(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
