"""Runs the stages that a configuration selects, in one run directory."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from golf.build import build
from golf.cache.accounts import byte_account
from golf.cache.stage_cache import NoCache, load, store
from golf.data.published import how_to_fetch
from golf.errors import UserError, require
from golf.evaluation.probe import ProbeAt
from golf.evaluation.stream import Stream, unigram
from golf.events import Events, Job, Listener
from golf.io.event_file import EventRecorder, replay
from golf.io.limits import TOTAL_BYTES
from golf.io.run_directory import (
    ARTIFACT,
    CONFIG,
    MULTIRUN,
    RESULTS,
    RUN,
    RunFiles,
    occupant,
    report_name,
    runs_of_sweep,
)
from golf.kernels.backend import Backend
from golf.pack.pack import pack
from golf.resume.checkpointer import NoCheckpointer
from golf.resume.resume import NoResume
from golf.run import identity, results
from golf.run.input_run import with_model_of, with_seeds_of
from golf.run.plots import plot_all
from golf.run.provenance import provenance
from golf.run.size_check import check_size
from golf.runtime import dist
from golf.runtime.device import peak_memory, reset_peak_memory
from golf.stages.evaluate import Evaluate
from golf.stages.key import stage_key
from golf.stages.quantize import Quantize
from golf.stages.stage import Stage, StageContext
from golf.stages.train import Train
from golf.stages.ttt import TTT
from golf.tracker.console import Console
from golf.tracker.jsonl import JsonLines
from golf.tracker.log import Log
from golf.utils.atomic import atomic_write, write_json
from golf.utils.disk import room_for
from golf.utils.hashing import sha256
from golf.utils.out_of_memory import enough_for
from golf.utils.run_lock import run_lock

STAGES: tuple[Stage, ...] = (Train(), Quantize(), Evaluate(), TTT())


def run(
    config: Mapping[str, Any],
    directory: Path,
    choices: Mapping[str, str],
    overridden: frozenset[str] = frozenset(),
    how: Mapping[str, Any] = MappingProxyType({"sys_path": [], "logging": {}}),
) -> dict[str, Any]:
    """Run the selected stages and return the content of results.json.

    config: resolved and checked; choices: the option of each group; overridden: the keys and groups that the
    command line set; how: what else `golf resume` has to know. Every rank of a job calls this; rank 0 alone writes
    files and is heard. Raises UserError for a mistake that can be seen beforehand, another run in `directory` among
    them, and then has written nothing there; for a full disk; for too little memory; if the data change meanwhile; and
    if another job goes on in `directory`. Raises Diverged.
    """
    if dist.is_main():
        belongs(config, directory, overridden, with_data=False)  # here too, since a lock is a file in the directory
    with _ours(directory), room_for(directory):
        return _run_all(config, directory, choices, overridden, how)


def belongs(config: Mapping[str, Any], directory: Path, overridden: frozenset[str], *, with_data: bool) -> bool:
    """Whether `directory` holds the run that `run` would run there, as far as it came; False where it holds none.

    with_data: look at the data too, which takes as long as reading them. Raises UserError if another run lies there,
    unless the configuration says overwrite.
    """
    if occupant(directory) is None:
        return False
    if (directory / MULTIRUN).exists():  # whatever the configuration is
        return identity.holds(directory, {}, overwrite=False)
    stages, files, config, _ = _chosen(config, directory, overridden)
    data = _digests(json.dumps({**config["data"], "seed": None})) if with_data else None  # whatever its order
    run = identity.identity(stages, config, _inputs(stages, files), data)
    return identity.holds(directory, run, config["overwrite"])


@cache
def _digests(data: str) -> dict[str, Any]:
    """The digests of configured data, which the jobs of a sweep have in common."""
    return build(json.loads(data)).open(Listener()).digests()


def _chosen(
    config: Mapping[str, Any], directory: Path, overridden: frozenset[str]
) -> tuple[list[Stage], RunFiles, Mapping[str, Any], str | None]:
    """The stages that are chosen, their files, and the configuration with the model and the seeds of what the first
    one reads, with the digest of the tokenizer that this was made with (None if it reads nothing)."""
    stages = [stage for stage in STAGES if stage.chosen_by in config["stages"]]
    known = list(dict.fromkeys(stage.chosen_by for stage in STAGES))
    require(len(stages) > 0, f"stages=[] selects nothing; choose from {known}")
    twice = len(set(config["stages"])) < len(config["stages"])
    require(not twice, f"stages={config['stages']}: names a stage twice")
    files = RunFiles(directory, config["input"])
    _check_inputs(stages, files)
    if not stages[0].reads:
        none = config["input"] is None
        require(none, f"input={config['input']}: train reads none; leave it out, or leave train out of stages")
        return stages, files, config, None
    source = stages[0].reads[0]
    config, tokenizer = with_model_of(files.get(source), source, config, overridden)
    if trained := files.read_report("train"):
        config = with_seeds_of(trained, config, overridden)
    return stages, files, config, tokenizer


def _inputs(stages: Sequence[Stage], files: RunFiles) -> dict[str, str]:
    """SHA-256 of the files that the stages read and none of them makes."""
    read = {name for stage in stages for name in stage.reads} - {stage.writes for stage in stages}
    return {name: sha256(files.get(name)) for name in sorted(read)}


def _run_all(
    config: Mapping[str, Any],
    directory: Path,
    choices: Mapping[str, str],
    overridden: frozenset[str],
    how: Mapping[str, Any],
) -> dict[str, Any]:
    stages, files, config, tokenizer = _chosen(config, directory, overridden)
    if tokenizer is not None:
        choices = {group: option for group, option in choices.items() if group != "model"}
    backend = build(config["compute"]).open()
    tracker, cache, resume = (build(config[group]) for group in ("tracker", "cache", "resume"))
    for part in (tracker, cache, resume):
        part.check()
    early = EventRecorder(Listener())
    terminal = Events([early], [Console()]) if dist.is_main() else Events()  # hears what precedes the job
    started = time.perf_counter()
    context, account = _open(config, choices, files, backend, terminal)
    if tokenizer not in (None, context.data_digests["tokenizer"]["sha256"]):
        source = files.get(stages[0].reads[0])
        raise UserError(f"{source}: was made with another tokenizer than {context.dataset.tokenizer}; give it its data")
    for stage in stages:
        stage.check(context)
    facts = provenance(config, context.data_digests, str(backend.device))
    facts |= {**backend.names, "ranks": dist.world_size()}
    seconds = {"data": time.perf_counter() - started}
    if dist.is_main():
        made = identity.identity(stages, config, _inputs(stages, files), context.data_digests)
        same = identity.holds(directory, made, config["overwrite"])
    events = Events([Log(), JsonLines()], [*terminal.optional, tracker]) if dist.is_main() else Events()
    context = replace(context, events=events)
    dist.barrier()  # nothing is written before every rank has passed its checks
    try:
        if dist.is_main():
            if not same:
                _remove_what_follows(stages[0], files)
            started_as = {**how, "choices": dict(choices), "cwd": os.getcwd()}
            write_json(files.path(RUN), {"identity": made, "started": started_as})
        events.start(Job(directory, config, choices))
        replay(early.events, Events(events.required, [tracker]))
        if dist.is_main():
            with room_for(directory / CONFIG), atomic_write(directory / CONFIG) as temporary:
                text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
                temporary.write_text(text, encoding="utf-8")
        events.event("device", device=facts["device"]["name"], **backend.names, ranks=facts["ranks"])
        events.event("data", train=_tokens(context, "train"), val=context.stream.num_targets)
        for stage in stages:
            seconds[stage.name] = _run(stage, context, facts, cache, resume)
            if stage.writes == ARTIFACT:
                check_size(context)  # before minutes of evaluation; it says how to have them all the same
        reports = _reports(stages, files)
        outcome = results.assemble(
            reports,
            choices=_choices(choices, reports),
            unigram=unigram(context.stream),
            account=account,
            stage_seconds=seconds,
            code_bytes=TOTAL_BYTES - context.room,
            provenance=facts,
        )
        if dist.is_main():
            write_json(directory / RESULTS, outcome)
            plot_all(directory, events)
            resume.forget(directory)
    except BaseException:
        with suppress(UserError):  # the first one counts
            events.finish(None)
        raise
    events.finish(outcome)
    return outcome


def _remove_what_follows(first: Stage, files: RunFiles) -> None:
    """Of another run that is overwritten, remove its results and what the stages made that depend on `first`, or all
    of them made where the stage reads its inputs elsewhere."""
    stale = STAGES if files.source is not None else STAGES[STAGES.index(first) :]
    for name in (RESULTS, *(name for stage in stale for name in (report_name(stage.name), stage.writes))):
        if name is not None:
            files.path(name).unlink(missing_ok=True)


def _open(
    config: Mapping[str, Any],
    choices: Mapping[str, str],
    files: RunFiles,
    backend: Backend,
    events: Listener,
) -> tuple[StageContext, dict[str, Any]]:
    """Open the data and see that it fits the model, and that its bytes are those of its text; pack the code."""
    try:
        dataset = build(config["data"]).open(events)
    except UserError as error:
        if command := how_to_fetch(choices.get("data"), config["data"].get("path")):
            raise UserError(f"{error}; {command} fetches it") from error
        raise
    model = config["model"]
    digests = None
    if dist.is_main():  # one rank reads all the shards; if it finds a mistake, the job ends
        dataset.check_manifest()
        dataset.check(model["vocab_size"], model["seq_len"])
        digests = dataset.digests()
    digests = dist.broadcast_object(digests)
    made = {"data": digests, **backend.names}
    room = dist.broadcast_object(TOTAL_BYTES - len(pack(config, made)) if dist.is_main() else None)
    tokens = dataset.validation(model["seq_len"])
    stream = Stream.of(tokens, dataset.byte_table, backend.device)
    account = byte_account(dataset.tokenizer, tokens, stream.target_bytes) if dist.is_main() else None
    context = StageContext(
        config=config,
        choices=choices,
        files=files,
        dataset=dataset,
        data_digests=digests,
        stream=stream,
        backend=backend,
        probe=ProbeAt,
        room=room,
        events=events,
        checkpointer=NoCheckpointer(),
    )
    return context, dist.broadcast_object(account)


def _tokens(context: StageContext, split: str) -> int:
    return sum(file["tokens"] for file in context.data_digests[split])


def _run(stage: Stage, context: StageContext, facts: Mapping[str, Any], cache: NoCache, resume: NoResume) -> float:
    """Run one stage, or take from the cache what it did before; write its report, and return its seconds."""
    inputs = {name: context.files.get(name) for name in stage.reads}
    digests = dist.broadcast_object({name: sha256(path) for name, path in inputs.items()} if dist.is_main() else None)
    key = stage_key(stage, context.config, digests, stage.depends(context), facts)
    context.events.event("stage_started", stage=stage.name, key=key[:12])
    started = time.perf_counter()
    output = None if stage.writes is None else context.files.path(stage.writes)
    with cache.claimed(key, context.events) as entry:
        report = None if entry is None else load(entry, output, context.events)
        served = dist.broadcast_object(report is not None)
        if not served:
            recorder = EventRecorder(context.events)
            check = partial(_check_data, context)
            with resume.checkpointer(context.files.directory, stage.name, key, recorder, check) as checkpointer:
                report = _compute(stage, replace(context, events=recorder, checkpointer=checkpointer), facts)
            if entry is not None:
                store(entry, output, report, recorder.events, context.events)
    seconds = time.perf_counter() - started
    if dist.is_main():
        read = {name: {"path": str(path), "sha256": digests[name]} for name, path in inputs.items()}
        choices = {key: context.choices[key] for key in stage.groups if key in context.choices}
        assert report is not None
        context.files.write_report({**report, "key": key, "inputs": read, "choices": choices})
    context.files.made |= {stage.name, stage.writes}
    dist.barrier()  # what rank 0 has written, the next stage reads on all
    peak = {} if served else {"peak_memory_gib": peak_memory(context.device) / 2**30}
    context.events.event("stage_finished", stage=stage.name, seconds=seconds, from_cache=served, **peak)
    return seconds


def _compute(stage: Stage, context: StageContext, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Run one stage; what it is remembered by. Its seconds are those of all processes that had a part in it."""
    reset_peak_memory(context.device)
    output = context.files.path(stage.writes or report_name(stage.name))
    _check_data(context)
    started = time.perf_counter()
    with room_for(output), enough_for(stage.name, context.config, stage.when_out_of_memory):
        result = stage.run(context)
    try:
        _check_data(context)
    except UserError:
        if stage.writes is not None:
            output.unlink()  # nobody knows what it was made of
        raise
    return {
        "stage": stage.name,
        "seconds": context.checkpointer.stage_seconds + time.perf_counter() - started,
        "resumed": context.checkpointer.times,
        "peak_memory_bytes": peak_memory(context.device),
        "output": None if stage.writes is None else {stage.writes: sha256(context.files.path(stage.writes))},
        "config": {key: context.config[key] for key in stage.groups},
        "provenance": dict(facts),
        "result": result,
    }


def _check_data(context: StageContext) -> None:
    """Raise UserError if the data are no longer those that the digests are of, which rank 0 has made."""
    if dist.is_main():
        context.dataset.check_unchanged()


def _choices(choices: Mapping[str, str], reports: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    """The option of each group that made the score. The last stage that used a group knows; groups of stages without
    a report are not known; this run chose the others."""
    known: dict[str, str | None] = {group: None for stage in STAGES for group in stage.groups if group != "seed"}
    for stage in STAGES:
        known |= reports.get(stage.name, {}).get("choices", {})
    return {**choices, **known}


@contextmanager
def _ours(directory: Path) -> Iterator[None]:
    """The directory for this job alone, which rank 0 sees to."""
    if not dist.is_main():
        yield
        return
    with run_lock(directory, Events(optional=[Console()])):
        yield


def _reports(stages: Sequence[Stage], files: RunFiles) -> dict[str, dict[str, Any]]:
    """The reports of the stages that ran, and of those before them that made, byte for byte, what they read."""
    reports: dict[str, dict[str, Any]] = {}
    read: dict[str, str] = {}
    for stage in reversed(STAGES):
        report = files.read_report(stage.name)
        if report is None:
            continue
        made_input = stage.writes in read and report["output"] == {stage.writes: read[stage.writes]}
        if stage in stages or made_input:
            reports = {stage.name: report} | reports
            read |= {name: source["sha256"] for name, source in report["inputs"].items()}
    return reports


def _check_inputs(stages: Sequence[Stage], files: RunFiles) -> None:
    """Every file that a stage reads is made by a stage of this run, or there already and not made stale by one."""
    if files.source is not None and (runs := runs_of_sweep(files.source)):
        raise UserError(f"input={files.source}: is a sweep's directory; give one of its runs, such as {runs[0]}")
    for stage in STAGES:
        if stage not in stages:
            files.read_report(stage.name)  # readable, if it is there
    for stage in stages:
        for name in stage.reads:
            maker = next(other for other in STAGES if other.writes == name)
            first = stages[0] in STAGES[STAGES.index(maker) :]  # nothing that runs would change what maker makes
            if maker in stages or (first and files.find(name) is not None):
                continue
            raise UserError(
                f"stages={list(dict.fromkeys(s.chosen_by for s in stages))}: {stage.name} needs {name}, which the "
                f"stage {maker.name} makes; add {maker.name} to stages"
                f"{', or give input=<a run directory that has it>' * first}"
            )
