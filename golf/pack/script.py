"""What a packed script does: the framework's own stages one after the other, and a log of its own."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from golf.build import build
from golf.data.accounting import Unexplained, stream_account
from golf.events import Listener
from golf.io.limits import TOTAL_BYTES
from golf.io.run_directory import ARTIFACT, RunFiles
from golf.runtime import dist
from golf.stages.context import open_context
from golf.stages.order import STAGES
from golf.stages.stage import Stage, run_stage
from golf.utils.hashing import sha256

SEEDED = "seed"  # stands in the packed configuration for a seed that is the run's


class Log(Listener):
    """Lines of a word and a JSON object each, to a file and to the console."""

    def __init__(self, path: Path):
        self.file = path.open("w", encoding="utf-8", buffering=1)

    def line(self, word: str, fields: Any) -> None:
        text = f"{word} {fields if isinstance(fields, str) else json.dumps(fields)}"
        try:
            print(text, flush=True)
        except OSError:
            sys.stdout = None  # nobody reads it any more; the file has every line
        self.file.write(text + "\n")

    def event(self, name: str, **fields: Any) -> None:
        self.line(name, fields)

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self.line(stage, {"step": step} | values)


def main(config: dict[str, Any], script: str) -> None:
    """Train, quantize and evaluate as `config` says, or evaluate an artifact alone; under torchrun on every rank.

    config: of the groups that stages build, and the root key seed; `script` is the file
    that is run. Writes seed<seed>/ with checkpoint and artifact, and train_seed<seed>.log (or evaluate.log) with the
    script's SHA-256, the configuration, every curve point, the artifact's SHA-256 and the scores.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=config["seed"])
    parser.add_argument("--data", default="data", help="shards and tokenizer")
    parser.add_argument("--evaluate", metavar="ARTIFACT", help="score it alone")
    asked = parser.parse_args()
    for pattern in (config["data"][key] for key in ("tokenizer", "train_glob", "val_glob")):
        if not (Path(asked.data, pattern).is_file() or any(Path(asked.data).glob(pattern))):
            parser.error(f"--data {asked.data}: no {pattern} there")
    if asked.evaluate and not Path(asked.evaluate).is_file():
        parser.error(f"--evaluate {asked.evaluate}: no such file")
    if "RANK" in os.environ:
        dist.start()
    config = asked_for(config, asked.seed, asked.data)
    events = Listener()
    directory = Path(f"seed{asked.seed}")
    if dist.is_main():
        log = events = Log(Path("evaluate.log" if asked.evaluate else f"train_seed{asked.seed}.log"))
        log.line("sha256", sha256(script))
        log.line("config", config)
        directory.mkdir(exist_ok=True)
    dist.barrier()
    code_bytes = os.stat(script).st_size
    files, stages = RunFiles(directory, asked.evaluate), STAGES[2 if asked.evaluate else 0 :]
    try:
        results = run(config, files, stages, TOTAL_BYTES - code_bytes, events)
    except Unexplained as error:
        parser.error(str(error))
    if dist.is_main():
        log.line("artifact", {"sha256": sha256(files.get(ARTIFACT))})
        log.line("score", score(results, code_bytes))
    dist.stop()


def asked_for(config: Mapping[str, Any], seed: int, directory: str) -> dict[str, Any]:
    """The packed configuration with a seed, and with the data of a directory."""
    data = config["data"]
    own = {"path": directory, "tokenizer": str(Path(directory, data["tokenizer"]))}
    seeded = {"seed": seed} if data["seed"] == SEEDED else {}
    return {**config, "seed": seed, "data": {**data, **own, **seeded}}


def run(
    config: Mapping[str, Any], files: RunFiles, stages: Sequence[Stage], room: int, events: Listener
) -> dict[str, Any]:
    """Run the stages, with `room` bytes for the artifact; the result of each by name."""
    backend = build(config["compute"])
    dataset = build(config["data"]).open(events)
    tokenizer = {"sha256": sha256(dataset.tokenizer)}
    context = open_context(
        config=config,
        dataset=dataset,
        backend=backend,
        stream_account=stream_account,
        files=files,
        data_digests={"tokenizer": tokenizer},
        room=room,
        events=events,
    )
    cuda = context.device.type == "cuda"
    name = torch.cuda.get_device_name(context.device) if cuda else platform.machine()
    events.event("machine", device=name, ranks=dist.world_size(), torch=torch.__version__, **backend.names)
    events.event(
        "data",
        train=len(dataset.train_files),
        val=[sha256(file) for file in dataset.val_files],
        targets=context.stream.num_targets,
        tokenizer=tokenizer["sha256"],
        account=context.account,
    )
    results = {}
    for stage in stages:
        done = run_stage(stage, context)
        results[stage.name] = done["result"]
        events.event("finished", stage=stage.name, **done)
    return results


def score(results: Mapping[str, Any], code_bytes: int) -> dict[str, Any]:
    """What counts: bits per byte, nats per token, and bytes."""
    final = results["ttt"]["ttt"] or results["evaluate"]["sliding"]
    model_bytes = results["evaluate"]["artifact_bytes"]
    sizes = {"artifact_bytes": model_bytes, "code_bytes": code_bytes, "total_bytes": model_bytes + code_bytes}
    return {**final, **sizes}
