"""artifact → score: plain and sliding windows, from the bytes that would be handed in."""

import time
from dataclasses import asdict
from typing import Any

from golf.evaluation.score_all import score_all
from golf.io.run_directory import ARTIFACT
from golf.stages.context import StageContext
from golf.stages.stage import Stage


class Evaluate(Stage):
    name = "evaluate"
    reads = (ARTIFACT,)
    writes = None
    groups = ("data", "model", "codec", "evaluation")
    when_out_of_memory = ("lower evaluation.batch_tokens",)

    def check(self, context: StageContext) -> None:
        context.build("evaluation").windows(context.stream.num_targets, context.config["model"]["seq_len"])

    def run(self, context: StageContext) -> dict[str, Any]:
        tensors = context.read_artifact().tensors()
        evaluation = context.build("evaluation")
        passes = {"quantized": evaluation.plain, "sliding": evaluation.sliding}
        scores, seconds, facts = {}, {}, {}
        for name, open_ledger in passes.items():
            model = context.load_model(tensors)
            started = time.perf_counter()
            ledger = open_ledger(context.stream, model.seq_len, context.probe)
            scores[name] = asdict(score_all(ledger, model, open_ledger.__name__, context.events))
            seconds[name] = time.perf_counter() - started
            facts[name] = ledger.facts()
        size = context.files.get(ARTIFACT).stat().st_size
        return {**scores, "seconds": seconds, "artifact_bytes": size, "facts": facts}
