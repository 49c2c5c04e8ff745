"""The evidence for each seed: the framework's run and the packed script's log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from golf.errors import UserError, excerpt
from golf.io.forms import RESULT_OF
from golf.report.runs import Run
from golf.utils.reading import parse_json, read_text, shaped


class Configured(TypedDict):
    seed: int
    data: dict[str, Any]
    trainer: dict[str, Any]


class Machine(TypedDict):
    device: str
    ranks: int
    torch: str


class Data(TypedDict):
    train: int
    val: list[str]
    targets: int
    tokenizer: str


class Finished(TypedDict):
    stage: str
    seconds: float
    result: dict[str, Any]


class Artifact(TypedDict):
    sha256: str


class Scored(TypedDict):
    val_bpb: float
    val_loss: float
    artifact_bytes: int
    code_bytes: int
    total_bytes: int


class Step(TypedDict):
    step: int


class Validated(Step):
    val_loss: float
    val_bpb: float


LINES: dict[str, Any] = {  # the form of a line by its word; other lines are not checked
    "machine": Machine,
    "data": Data,
    "train": Step,
    "validate": Validated,
    "finished": Finished,
    "artifact": Artifact,
    "score": Scored,
}


@dataclass(frozen=True)
class ScriptLog:
    """A log of the packed script, read back (see golf.pack.script). lines: the word and the fields of each after the
    first two; finished: by stage, its `result` among others."""

    path: Path
    sha256: str
    config: Mapping[str, Any]
    lines: Sequence[tuple[str, Mapping[str, Any]]]
    machine: Mapping[str, Any]
    data: Mapping[str, Any]
    finished: Mapping[str, Mapping[str, Any]]
    score: Mapping[str, Any] | None

    @property
    def results(self) -> dict[str, Mapping[str, Any]]:
        """The result of each finished stage."""
        return {stage: fields["result"] for stage, fields in self.finished.items()}


def read_log(path: Path) -> ScriptLog:
    """Read a log. Without a score if the run did not end. Raises UserError if it is not a packed script's log."""
    try:
        pairs = [line.split(" ", 1) for line in read_text(path).split("\n") if line]
        (first, digest), (second, config), *rest = pairs
        if (first, second) != ("sha256", "config"):
            raise ValueError("its first lines are not its digest and its configuration")
        lines = [(word, parse_json(text.encode(), word, LINES.get(word, dict[str, Any]))) for word, text in rest]
        first_of = dict(reversed(lines))  # of each word its first line
        machine, data = first_of["machine"], first_of["data"]
        finished = {fields["stage"]: fields for word, fields in lines if word == "finished"}
        for stage, fields in finished.items():
            shaped(fields["result"], f"the result of {stage}", RESULT_OF[stage])
        score = next((fields for word, fields in lines if word == "score"), None)
        configured = parse_json(config.encode(), "config", Configured)
        return ScriptLog(path, digest, configured, lines, machine, data, finished, score)
    except (ValueError, LookupError, UserError) as error:
        why = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: is no log of a packed script ({excerpt(why)})") from error


@dataclass(frozen=True)
class Seed:
    """One seed: the framework's run and, once the script has run, its log."""

    run: Run
    log: ScriptLog | None

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def figures(self) -> dict[str, float]:
        """Scores, bytes and seconds: of the log, or of the framework's run before there is one."""
        if self.log is not None and self.log.score is not None:
            return figures(self.log.results, self.log.score)
        return figures({stage: report["result"] for stage, report in self.run.reports.items()}, self.run.results)

    @property
    def machine(self) -> Mapping[str, Any]:
        """Device, ranks and torch: of the log, or of the framework's run before there is one."""
        if self.log is not None:
            return self.log.machine
        made = self.run.results["provenance"]
        return {"device": made["device"]["name"], "ranks": made["ranks"], "torch": made["versions"]["torch"]}


def figures(results: Mapping[str, Mapping[str, Any]], score: Mapping[str, Any]) -> dict[str, float]:
    """Scores, bytes and seconds, from the results of the stages and the final score."""
    seconds = {
        "train_seconds": results["train"]["seconds"] + results["quantize"]["seconds"]["quantize"],
        "eval_seconds": sum(results["evaluate"]["seconds"].values()) + results["ttt"]["seconds"],
    }
    names = ("val_bpb", "val_loss", "artifact_bytes", "code_bytes", "total_bytes")
    return {name: score[name] for name in names} | seconds
