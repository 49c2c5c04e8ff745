"""Sliding windows and chunks of test-time training; the plain kernels are not compiled here."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from golf.bench.row import Row
from golf.bench.setting import Config, Setting
from golf.build import build
from golf.evaluation.score_all import score_all
from golf.events import Listener
from golf.resume.checkpointer import NoCheckpointer

SEQUENCES = 32  # of the stream of sliding windows
STEADY = 2  # chunks until everything is compiled and captured


def rows(setting: Setting) -> Iterator[Row]:
    stream = setting.stream(SEQUENCES * setting.config["model"]["seq_len"])
    found, plain = (sliding(setting, config, stream.num_targets) for config in (setting.config, setting.plain))
    yield Row(
        name="evaluation.sliding",
        what=f"scored tokens, stride {setting.config['evaluation']['stride']}",
        unit="tokens/s",
        values=[stream.num_targets / each for each in found],
        plain=[stream.num_targets / each for each in plain],
        details={"targets": stream.num_targets},
    )
    if "chunk_tokens" not in setting.config["ttt"]:
        return
    for hashed in (False, True):
        found, plain = (
            chunk_seconds(setting, {**config["ttt"], "hash_embed": hashed}, config, setting.repeats)
            for config in (setting.config, setting.plain)
        )
        yield Row(
            name=f"evaluation.ttt{'_hash' if hashed else ''}",
            what=f"a chunk of {setting.config['ttt']['chunk_tokens']:,} tokens, scored and trained on",
            unit="s",
            values=found,
            plain=plain,
        )


def sliding(setting: Setting, config: Config, targets: int, **changes: Any) -> list[float]:
    """Seconds of a pass for each repeat; `changes` replace values of the model's configuration."""
    model, stream = setting.model(config, **changes), setting.stream(targets)
    evaluation = build({**config["evaluation"], "probes": 0})

    def scored() -> None:
        score_all(evaluation.sliding(stream, model.seq_len), model, "", Listener())

    scored()  # compiles what is compiled
    return setting.seconds(scored)


def chunk_seconds(setting: Setting, ttt: Mapping[str, Any], config: Config, chunks: int) -> list[float]:
    """Seconds of each of `chunks` consecutive chunks after compilation: training on one and scoring the next."""
    model, stamps = setting.model(config), _Stamps(setting)
    stream = setting.stream((STEADY + chunks + 1) * ttt["chunk_tokens"])
    ledger = build({**config["evaluation"], "probes": 0}).sliding(stream, model.seq_len)
    build(ttt).adapt(model, ledger, stamps, NoCheckpointer())
    steady = stamps.times[STEADY:]
    return [after - before for before, after in pairwise(steady)]


class _Stamps(Listener):
    """The times at which chunks were scored."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.times: list[float] = []

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self.times.append(self.setting.now())
