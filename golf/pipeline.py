"""Runs the stages that a configuration selects, in one run directory."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from golf.build import build
from golf.errors import UserError
from golf.evaluation.stream import unigram
from golf.events import Events, Job, Listener
from golf.io.event_file import EventRecorder, replay
from golf.io.limits import TOTAL_BYTES
from golf.io.run_directory import ARTIFACT, CONFIG, MULTIRUN, RESULTS, RUN, occupant
from golf.run import identity, results
from golf.run.opening import open_job
from golf.run.plan import Plan, make_plan
from golf.run.plots import plot_all
from golf.run.provenance import provenance
from golf.run.reports import choices_of, reports_of
from golf.run.size_check import check_size
from golf.run.stage_runner import StageRunner
from golf.runtime import dist
from golf.tracker.console import Console
from golf.tracker.jsonl import JsonLines
from golf.tracker.log import Log
from golf.utils.atomic import write_json, write_yaml
from golf.utils.disk import room_for
from golf.utils.run_lock import run_lock


def run(
    config: Mapping[str, Any],
    directory: Path,
    choices: Mapping[str, str],
    overridden: frozenset[str] = frozenset(),
    how: Mapping[str, Any] = MappingProxyType({"sys_path": [], "logging": {}}),
) -> dict[str, Any]:
    """Run the selected stages and return the content of results.json.

    config: resolved and checked; choices: the option of each group; overridden: the keys and groups that the command
    line set; how: what else `golf resume` has to know. Every rank of a job calls this; rank 0 alone writes files and
    emits events. Raises UserError for a mistake that can be seen beforehand, such as another run in `directory`, and
    then has written nothing there; for a full disk; for too little memory; if the data change meanwhile; and if another
    job is running in `directory`. Raises Diverged.
    """
    if dist.is_main():
        belongs(config, directory, overridden, with_data=False)  # here too: the lock is a file in the directory
    with _locked(directory), room_for(directory):
        return _run(make_plan(config, directory, overridden), choices, how)


def belongs(config: Mapping[str, Any], directory: Path, overridden: frozenset[str], *, with_data: bool) -> bool:
    """Whether `directory` holds the run that `run` would run there, finished or not; False if it holds none.

    with_data: compare the data too, which takes as long as reading them. Raises UserError if another run lies there,
    unless the configuration says overwrite.
    """
    if occupant(directory) is None:
        return False
    if (directory / MULTIRUN).exists():  # whatever the configuration is
        return identity.holds(directory, {}, overwrite=False)
    plan = make_plan(config, directory, overridden)
    data = _digests(json.dumps({**config["data"], "seed": None})) if with_data else None  # whatever its order
    return identity.holds(directory, plan.identity(data), config["overwrite"])


@cache
def _digests(data: str) -> dict[str, Any]:
    """The digests of configured data, which the jobs of a sweep have in common."""
    digests: dict[str, Any] = build(json.loads(data)).open(Listener()).digests()
    return digests


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """The directory is this job's alone; rank 0 holds the lock."""
    if not dist.is_main():
        yield
        return
    with run_lock(directory, Events(optional=[Console()])):
        yield


def _identity(plan: Plan, data: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The identity of the run, and whether its directory holds it already."""
    made = plan.identity(data)
    return made, identity.holds(plan.files.directory, made, plan.config["overwrite"])


def _run(plan: Plan, choices: Mapping[str, str], how: Mapping[str, Any]) -> dict[str, Any]:
    config, directory = plan.config, plan.files.directory
    if plan.tokenizer is not None:  # the model is that of the input
        choices = {group: option for group, option in choices.items() if group != "model"}
    backend = build(config["compute"]).open()
    tracker, cache, resume = (build(config[group]) for group in ("tracker", "cache", "resume"))
    for part in (tracker, cache, resume):
        part.check()
    early = EventRecorder(Listener())
    terminal = Events([early], [Console()]) if dist.is_main() else Events()  # for what precedes the job
    started = time.perf_counter()
    context = open_job(plan, choices, backend, terminal)
    for stage in plan.stages:
        stage.check(context)
    facts = provenance(config, context.data_digests, str(backend.device))
    facts |= {**backend.names, "ranks": dist.world_size()}
    seconds = {"data": time.perf_counter() - started}
    made, same = dist.broadcast_object(_identity(plan, context.data_digests) if dist.is_main() else None)
    events = Events([Log(), JsonLines()], [*terminal.optional, tracker]) if dist.is_main() else Events()
    context = replace(context, events=events)
    dist.barrier()  # nothing is written before every rank has passed its checks
    try:
        if dist.is_main():
            if not same:
                plan.remove_stale()
            started_as = {**how, "choices": dict(choices), "cwd": os.getcwd()}
            write_json(directory / RUN, {"identity": made, "started": started_as})
        events.start(Job(directory, config, choices))
        replay(early.events, Events(events.required, [tracker]))
        if dist.is_main():
            write_yaml(directory / CONFIG, dict(config))
        events.event("device", device=facts["device"]["name"], **backend.names, ranks=facts["ranks"])
        train_tokens = sum(shard["tokens"] for shard in context.data_digests["train"])
        events.event("data", train=train_tokens, val=context.stream.num_targets)
        runner = StageRunner(context=context, choices=choices, facts=facts, cache=cache, resume=resume)
        outcome = _run_stages(plan, runner, seconds)
        if dist.is_main():
            write_json(directory / RESULTS, outcome)
            plot_all(directory, events)
            resume.forget(directory)
    except BaseException:
        with suppress(UserError):  # the first error counts
            events.finish(None)
        raise
    events.finish(outcome)
    return outcome


def _run_stages(plan: Plan, runner: StageRunner, seconds: dict[str, float]) -> dict[str, Any]:
    """Run the stages, and return the content of results.json. seconds: of what preceded them; theirs are added."""
    context = runner.context
    for stage in plan.stages:
        seconds[stage.name] = runner.run(stage)
        if stage.writes == ARTIFACT:
            check_size(context)  # before minutes of evaluation; the error names the command that evaluates it
    reports = reports_of(plan.stages, plan.files)
    return results.assemble(
        reports,
        choices=choices_of(reports, runner.choices),
        unigram=unigram(context.stream),
        account=context.account,
        stage_seconds=seconds,
        code_bytes=TOTAL_BYTES - context.room,
        provenance=runner.facts,
    )
