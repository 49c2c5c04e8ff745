"""artifact → score: plain and sliding windows, from the bytes that would be handed in."""

import time
from dataclasses import asdict
from typing import Any

from golf.io.run_directory import ARTIFACT
from golf.stages.stage import Stage, Work, score_all


class Evaluate(Stage):
    name = chosen_by = "evaluate"
    reads = (ARTIFACT,)
    writes = None
    groups = ("data", "model", "codec", "evaluation")
    when_out_of_memory = ("lower evaluation.batch_tokens",)

    def check(self, work: Work) -> None:
        work.build("evaluation").windows(work.stream.num_targets, work.config["model"]["seq_len"])

    def run(self, work: Work) -> dict[str, Any]:
        tensors = work.read_artifact().tensors()
        evaluation = work.build("evaluation")
        passes = {"quantized": evaluation.plain, "sliding": evaluation.sliding}
        scores, seconds, facts = {}, {}, {}
        for name, open_ledger in passes.items():
            model = work.load_model(tensors)
            started = time.perf_counter()
            ledger = open_ledger(work.stream, model.seq_len, work.probe)
            scores[name] = asdict(score_all(ledger, model, open_ledger.__name__, work.events))
            seconds[name] = time.perf_counter() - started
            facts[name] = ledger.facts()
        size = work.files.get(ARTIFACT).stat().st_size
        return {**scores, "seconds": seconds, "artifact_bytes": size, "facts": facts}
