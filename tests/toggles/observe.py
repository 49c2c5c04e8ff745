"""What a command leads to, seen from outside: files, events, numbers, bytes, and the kernels of training.

What merely repeats the command is left out (config.yaml, the header of the artifact, keys of stages), or a flag that
nothing reads would seem to change something; and so is what a clock says.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

import command
import torch
import wandb_reader
import yaml
from torch import Tensor
from torch.autograd.profiler import profile

from golf.cache.entries import user_cache
from golf.io.artifact import Quantized, read_artifact
from golf.io.checkpoint import read_checkpoint
from golf.io.container import read_container
from golf.io.run_directory import ARTIFACT, CHECKPOINT, CONFIG, read_results
from golf.pack.pack import modules, packed_config
from golf.stages.context import StageContext
from golf.stages.train import Train
from golf.tracker import jsonl

Observed = dict[str, Any]

PACKED = user_cache(None, "code").resolve()
PACKED.mkdir(parents=True, exist_ok=True)
SCORES = ("unigram", "prequant", "quantized", "sliding", "ttt")
CLOCKS = {"time", "seconds", "tokens_per_second", "peak_memory_gib"}  # in lines of metrics.jsonl
REPEATED = {"key", "val_bpb", "ema_val_bpb"}  # a stage's key repeats what was asked, and bits what nats say


def golf(directory: Path, *arguments: str) -> Observed:
    """Run `golf` with these arguments, in this process and a new directory; what was observed, by name.

    A command that runs no job has one observation, its `answer`; `--cfg=job` has one for each key of the root.
    """
    work = directory / "work"
    work.mkdir(parents=True)
    (directory / "golf").mkdir()
    (directory / "golf" / "code").symlink_to(PACKED)  # packing anew what is packed already takes seconds
    launched: Counter[str] = Counter()
    environment = dict.fromkeys(("HOME", "XDG_CACHE_HOME"), str(directory)) | {"WANDB_MODE": "disabled"}
    with _kernels_of_training(launched):
        done = command.golf(work, *arguments, "hydra.run.dir=run", **environment)
    if "--cfg=job" in arguments:
        return {f"config {key}": value for key, value in yaml.safe_load(done.stdout).items()}
    run = work / "run"
    results = read_results(run)
    if results is None:
        return {"answer": done.stdout + done.stderr}
    assert done.returncode == 0, done.stderr
    return {
        "files": sorted(str(path.relative_to(work)) for glob in ("*", "run/*") for path in work.glob(glob)),
        "kernels": launched,
        "graphs": sum(name.startswith("Torch-Compiled Region") for name in launched),
        "tracked": [(sorted({*chain(*each.history)}), len(each.artifacts)) for each in wandb_reader.runs(run)],
        "data": [results["provenance"]["data"][split] for split in ("train", "val")],
        "steps": [results["train"][unit] for unit in ("steps", "tokens")],
        "code": _packed_modules(run, results),
        **{name: results[name] for name in SCORES},
        **_said(run),
        **_weights(run / CHECKPOINT),
        **_artifact(run / ARTIFACT),
    }


def _packed_modules(run: Path, results: Mapping[str, Any]) -> list[str]:
    """Names of the modules that a submission of the run needs."""
    config = yaml.safe_load((run / CONFIG).read_text())
    return sorted(modules(packed_config(config, results["provenance"])))


def changed(before: Observed, after: Observed) -> set[str]:
    """Names of the observations that differ; only `answer` if one of the commands ran a job and the other did not."""
    if ("answer" in before) != ("answer" in after):
        return {"answer"}
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@contextmanager
def _kernels_of_training(launched: Counter[str]) -> Iterator[None]:
    """Count, by their names, the kernels that the stage Train launches inside."""
    run = Train.run

    def counted(stage: Train, context: StageContext) -> dict[str, Any]:
        with profile() as profiler:
            result = run(stage, context)
        launched.update(event.name() for event in profiler.kineto_results.events())
        return result

    with patch.object(Train, "run", counted):
        yield


def _said(run: Path) -> Observed:
    """Events, and each curve by its name: where it has points and which."""
    events, curves = [], defaultdict(list)
    for line in jsonl.read(run):
        said = {name: value for name, value in line.items() if name not in CLOCKS | REPEATED}
        if said.pop("kind") == "event":
            events.append(said)
            continue
        stage, step = said.pop("stage"), said.pop("step")
        for name, value in said.items():
            curves[f"{stage} {name}"].append((step, value))
    return {"events": events, **curves}


def _weights(path: Path) -> Observed:
    if not path.exists():
        return {}
    checkpoint = read_checkpoint(path, "cpu")
    return {"raw": _digests(checkpoint["raw"]), "ema": _digests(checkpoint["ema"] or {})}


def _artifact(path: Path) -> Observed:
    """The bytes of its sections, and the tensors that these decode to."""
    if not path.exists():
        return {}
    tensors = {}
    for name, tensor in read_artifact(path).state.items():
        parts = {"codes": tensor.codes, "scale": tensor.scale} if isinstance(tensor, Quantized) else {"": tensor}
        tensors |= {f"{name} {part}": value for part, value in parts.items()}
    sections = {section.name: hashlib.sha256(section.stored).digest() for section in read_container(path)[1]}
    return {"artifact": sections, "tensors": _digests(tensors)}


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, bytes]:
    flat = {name: tensor.contiguous().view(-1).view(torch.uint8) for name, tensor in tensors.items()}
    return {name: hashlib.sha256(tensor.numpy().tobytes()).digest() for name, tensor in flat.items()}
