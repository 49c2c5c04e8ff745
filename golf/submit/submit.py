"""Packs, audits, and writes the folder."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Column, Table

from golf.config.names import no_such
from golf.errors import UserError, require
from golf.io.run_directory import ARTIFACT, read_config
from golf.pack.pack import GROUPS, pack, packed_config
from golf.paths import config_dir
from golf.report.runs import read_runs
from golf.report.variants import variants
from golf.submit.audit import Audit, audit
from golf.submit.evidence import ScriptLog, Seed, read_log
from golf.submit.folder import SCRIPT, About, Facts, commands, digest, write_folder
from golf.utils.shell import quote
from golf.utils.terminal import plain_text

MISSING = "???"  # as in Hydra's files
OF_DATA = ("val_tokens", "seed", "order")  # the other keys are paths


def submit(directories: Sequence[Path], overrides: Sequence[str], folder: Path, logs: Path) -> bool:
    """Write the folder from the runs of one variant. Returns whether the audit passed.

    overrides: KEY=VALUE of submission.yaml. logs: the directory in which the script was run. Raises UserError for
    runs that are incomplete or of several variants, and for missing values of submission.yaml.
    """
    about = read_about(overrides)
    require(len(directories) > 0, "no directory of runs is given; those of a sweep are in multirun/<date>/<time>")
    require(folder.is_dir() or not folder.exists(), f"--output {folder}: is a file")
    require(
        folder.resolve() != logs.resolve(),
        f"--logs {logs}: must differ from --output",
    )
    runs, without = read_runs(directories)
    require(not without, f"{next(iter(without), '')}: has no score; give whole runs")
    of = variants(runs)
    require(len(of) == 1, f"these are {len(of)} variants ({'; '.join(of)}); give the runs of one")
    by_seed = {run.seed: run for run in runs}
    require(len(by_seed) == len(runs), "a seed ran twice; give one run for each")
    for run in runs:
        for stage in ("train", "quantize", "evaluate", "ttt"):
            require(stage in run.reports, f"{run.directory}: the report of {stage}, which made its score, is gone")
    config = read_config(runs[0].directory)
    config |= {group: runs[0].config[group] for group in (*GROUPS, "data", "seed")}  # of what made the score
    provenance = runs[0].results["provenance"]
    script = pack(config, provenance)
    seeds = [Seed(run, _log(logs, seed)) for seed, run in sorted(by_seed.items())]
    _check_artifact(logs, seeds[0])
    verdict = audit(seeds, digest(script))
    packed = packed_config(config, provenance)
    facts = Facts(about, {seed.seed: seed.figures for seed in seeds}, seeds[0].machine, verdict, changes(packed))
    write_folder(folder, facts, script, packed, seeds)
    _print(verdict, folder, logs, seeds)
    return verdict.passed


def read_about(overrides: Sequence[str]) -> About:
    """submission.yaml with what the command line changes. Raises UserError for a key that is unknown, or missing
    at all."""
    about = yaml.safe_load(Path(__file__).with_name("submission.yaml").read_text(encoding="utf-8"))
    for key, _, value in (override.partition("=") for override in overrides):
        if key not in about:
            raise UserError(no_such("key", key, key, about))
        about[key] = value
    missing = [key for key, value in about.items() if value == MISSING or (not value and key != "blurb")]
    if missing:
        raise UserError(f"{', '.join(missing)}: missing; add {' '.join(f'{key}=…' for key in missing)} to the command")
    return About(**about)


def changes(packed: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Keys in which the script differs from the record, with both values."""
    found = []
    for group in (*GROUPS, "data"):
        here, there = packed[group], _record()[group]
        for key in OF_DATA if group == "data" else dict.fromkeys([*here, *there]):
            if here.get(key) != there.get(key) and (group, key) != ("evaluation", "probes"):
                found.append((f"{group}.{key}", _show(here, key), _show(there, key)))
    return found


@cache
def _record() -> dict[str, Any]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        record = OmegaConf.to_container(compose("config", overrides=["experiment=record"]), resolve=True)
    assert isinstance(record, dict)
    return {str(group): values for group, values in record.items()}


def _show(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "–"


def _log(logs: Path, seed: int) -> ScriptLog | None:
    path = logs / f"train_seed{seed}.log"
    if not path.is_file():
        return None
    log = read_log(path)
    require(log.config["seed"] == seed, f"{path}: is the log of seed {log.config['seed']}")
    return log


def _check_artifact(logs: Path, seed: Seed) -> None:
    """Check the submitted artifact. Raises UserError unless it has the size stated in the log of its run."""
    if seed.log is None or seed.log.score is None:
        return
    path = logs / f"seed{seed.seed}" / ARTIFACT
    there = path.is_file() and path.stat().st_size == seed.log.score["artifact_bytes"]
    require(there, f"{path}: is not the artifact of {seed.log.path}; run the script again")


def _print(verdict: Audit, folder: Path, logs: Path, seeds: Sequence[Seed]) -> None:
    console = Console()
    table = Table("check", "", Column("found", overflow="fold"))
    for check in verdict.checks:
        table.add_row(plain_text(check.name), "holds" if check.holds else "FAILS", plain_text(check.found))
    console.print(table)
    console.print(plain_text(f"{quote(folder)}: {'ready' if verdict.passed else 'not ready'}"), soft_wrap=True)
    if any(seed.log is None for seed in seeds):
        where = f"Logs of a submission are the script's own. In {quote(logs)}, then this command again:"
        console.print(plain_text(where), soft_wrap=True)
        ranks = seeds[0].machine["ranks"]
        for command in commands([seed.seed for seed in seeds], ranks, folder.resolve() / SCRIPT):
            console.print(plain_text(f"  {command}"), soft_wrap=True)
