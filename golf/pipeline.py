"""Runs the stages that a configuration selects, in one run directory."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from golf import results
from golf.atomic import replacing, write_json
from golf.build import build
from golf.code_size import estimate_code_bytes
from golf.data.digest import sha256
from golf.device import peak_memory, pick_device, reset_peak_memory
from golf.errors import UserError
from golf.evaluation.stream import Stream, unigram
from golf.events import Events, Job
from golf.input_model import with_model_of
from golf.model.attend import Attend, choose
from golf.plots import plot_all
from golf.provenance import provenance
from golf.run_files import RESULTS, RunFiles
from golf.stages.evaluate import Evaluate
from golf.stages.quantize import Quantize
from golf.stages.stage import Stage, Work
from golf.stages.train import Train
from golf.tracker.console import Console
from golf.tracker.jsonl import JsonLines

STAGES: tuple[Stage, ...] = (Train(), Quantize(), Evaluate())


def run(
    config: Mapping[str, Any], directory: Path, choices: Mapping[str, str], overridden: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Run the selected stages and return the content of results.json.

    config: resolved and checked; choices: the option of each group; overridden: the keys and groups that the
    command line set. Raises UserError for a mistake that can be seen beforehand, and then has written nothing to
    `directory`.
    """
    stages = [stage for stage in STAGES if stage.name in config["stages"]]
    if not stages:
        raise UserError(f"stages=[] selects nothing; choose from {[stage.name for stage in STAGES]}")
    files = RunFiles(directory, config["input"])
    _check_inputs(stages, files)
    if stages[0].reads:
        config = with_model_of(files.get(stages[0].reads[0]), config, overridden)
    device = pick_device(config["device"], config["threads"])
    attention, attend = choose(config["attention"], device)
    started = time.perf_counter()
    console = Console()
    work = _open(config, files, device, attend, console)
    for stage in stages:
        stage.check(work)
    facts = provenance(config, work.data_digests, str(device)) | {"attention": attention}
    seconds = {"data": time.perf_counter() - started}
    events = Events([console, JsonLines(), build(config["tracker"])])
    work = Work(**{**vars(work), "events": events})
    events.start(Job(directory, config, choices))
    try:
        with replacing(directory / "config.yaml") as temporary:
            temporary.write_text(OmegaConf.to_yaml(OmegaConf.create(dict(config))), encoding="utf-8")
        events.event("device", device=facts["device"]["name"], attention=attention)
        events.event("data", train=_tokens(work, "train"), val=work.stream.num_targets)
        for stage in stages:
            seconds[stage.name] = _run(stage, work, facts)
        outcome = results.assemble(
            choices,
            _records(stages, files),
            unigram=unigram(work.stream),
            stage_seconds=seconds,
            code_bytes=estimate_code_bytes(config),
            provenance=facts,
        )
        write_json(directory / RESULTS, outcome)
        plot_all(directory)
    except BaseException:
        events.finish(None)
        raise
    events.finish(outcome)
    return outcome


def _open(config: Mapping[str, Any], files: RunFiles, device: torch.device, attend: Attend, console: Console) -> Work:
    """Open the data and see that it fits the model."""
    dataset = build(config["data"]).open(console)
    model = config["model"]
    dataset.check(model["vocab_size"], model["seq_len"])
    stream = Stream(dataset.validation(model["seq_len"]), dataset.byte_table, device)
    return Work(config, files, dataset, dataset.digests(), stream, device, attend, console)


def _tokens(work: Work, split: str) -> int:
    return sum(file["tokens"] for file in work.data_digests[split])


def _run(stage: Stage, work: Work, facts: Mapping[str, Any]) -> float:
    """Run one stage, write its record, and return its seconds."""
    inputs = {name: work.files.get(name) for name in stage.reads}
    work.events.event("stage_started", stage=stage.name)
    reset_peak_memory(work.device)
    started = time.perf_counter()
    result = stage.run(work)
    seconds = time.perf_counter() - started
    peak = peak_memory(work.device)
    record = {
        "stage": stage.name,
        "seconds": seconds,
        "peak_memory_bytes": peak,
        "inputs": {name: {"path": str(path), "sha256": sha256(path)} for name, path in inputs.items()},
        "output": None if stage.writes is None else {stage.writes: sha256(work.files.path(stage.writes))},
        "config": {key: work.config[key] for key in stage.groups},
        "provenance": facts,
        "result": result,
    }
    work.files.write_record(stage.name, record)
    work.events.event("stage_finished", stage=stage.name, seconds=seconds, peak_memory_gib=peak / 2**30)
    return seconds


def _records(stages: Sequence[Stage], files: RunFiles) -> dict[str, dict[str, Any]]:
    """The records of the stages that ran, and of those before them that made, byte for byte, what they read."""
    records: dict[str, dict[str, Any]] = {}
    read: dict[str, str] = {}
    for stage in reversed(STAGES):
        record = files.record(stage.name)
        if record is None:
            continue
        made_input = stage.writes in read and record["output"] == {stage.writes: read[stage.writes]}
        if stage in stages or made_input:
            records[stage.name] = record
            read |= {name: source["sha256"] for name, source in record["inputs"].items()}
    return records


def _check_inputs(stages: Sequence[Stage], files: RunFiles) -> None:
    """Every file that a stage reads is made by the stage before it, or the first stage finds it."""
    made: set[str | None] = set()
    for stage in stages:
        for name in stage.reads:
            if name in made or (stage is stages[0] and files.find(name) is not None):
                continue
            maker = next(other.name for other in STAGES if other.writes == name)
            raise UserError(
                f"stages={[s.name for s in stages]}: {stage.name} needs {name}, which the stage {maker} makes; "
                f"add {maker} to stages{', or give input=<a run directory that has it>' * (stage is stages[0])}"
            )
        made.add(stage.writes)
