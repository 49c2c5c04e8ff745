"""results.json: the results of a run, from the reports of its stages."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from golf.run.provenance import config_digest

if TYPE_CHECKING:
    from golf.evaluation.stream import Score  # imports torch, which a sweep that asks for METRICS does not need

SCORES = ("ttt", "sliding", "quantized")  # the first that there is, is final
TRAINING = ("steps", "tokens", "seconds", "tokens_per_second")
METRICS = (  # the numbers that can be compared, by their dotted names
    *("val_bpb", "val_loss", "artifact_bytes", "code_bytes", "total_bytes", "eval_seconds"),
    *(f"{score}.{name}" for score in ("unigram", "prequant", *reversed(SCORES)) for name in ("val_bpb", "val_loss")),
    *(f"train.{name}" for name in TRAINING),
    *(f"stage_seconds.{name}" for name in ("data", "train", "quantize", "evaluate", "ttt")),
)


def assemble(
    reports: Mapping[str, Mapping[str, Any]],
    *,
    choices: Mapping[str, str | None],
    unigram: "Score",
    account: Mapping[str, Any],
    stage_seconds: Mapping[str, float],
    code_bytes: int,
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of results.json.

    choices: the options that made the score. reports: of the stages that made it, in this run or in its input run.
    Values that no stage has computed, or that are unknown of the input, are null; without an evaluation the final score
    is that of the weights before quantization. The seed is that of the training.
    """
    found = {name: report["result"] for name, report in reports.items()}
    train, quantize, evaluate, ttt = (found.get(name, {}) for name in ("train", "quantize", "evaluate", "ttt"))
    if "train" in reports and not same_targets(reports["train"]["provenance"]["data"], provenance["data"]):
        train = {**train, "prequant": None}  # scored on other tokens, so not comparable
    scored = evaluate | ttt
    scores = {"prequant": train.get("prequant"), **{name: scored.get(name) for name in reversed(SCORES)}}
    final = next((scores[name] for name in (*SCORES, "prequant") if scores[name]), None) or {}
    artifact_bytes = evaluate.get("artifact_bytes", quantize.get("artifact_bytes"))
    return {
        "val_bpb": final.get("val_bpb"),
        "val_loss": final.get("val_loss"),
        "unigram": asdict(unigram),
        **scores,
        "account": dict(account),
        "artifact_bytes": artifact_bytes,
        "code_bytes": code_bytes,
        "total_bytes": None if artifact_bytes is None else artifact_bytes + code_bytes,
        "train": {key: train[key] for key in TRAINING} if train else None,
        "eval_seconds": sum([*evaluate["seconds"].values(), ttt["seconds"]]) if evaluate and ttt else None,
        "stage_seconds": dict(stage_seconds),
        "seed": reports["train"]["config"]["seed"] if "train" in reports else None,
        "choices": dict(choices),
        "stages": {name: _made_by(report) for name, report in reports.items()},
        "provenance": dict(provenance),
    }


def same_targets(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two digests of data (Dataset.digests) are of the same validation tokens."""
    return all(one[key] == other[key] for key in ("val", "val_tokens"))


def _made_by(report: Mapping[str, Any]) -> dict[str, Any]:
    """What determines a stage's result."""
    provenance = report["provenance"]
    return {
        "seconds": report["seconds"],
        "resumed": report["resumed"],
        "key": report["key"],
        "config_sha256": config_digest(report["config"]),
        **{key: provenance[key] for key in ("code_sha256", "git", "date")},
        "device": provenance["device"]["name"],
        "ranks": provenance["ranks"],
    }
