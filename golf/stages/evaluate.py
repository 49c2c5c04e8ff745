"""artifact → score: plain and sliding windows, from the bytes that would be handed in."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from golf.evaluation.stream import Score
from golf.model.gpt import GPT
from golf.run_files import ARTIFACT
from golf.stages.stage import Stage, Work


class Evaluate(Stage):
    name = chosen_by = "evaluate"
    reads = (ARTIFACT,)
    writes = None
    groups = ("data", "model", "codec", "evaluation")

    def check(self, work: Work) -> None:
        work.build("evaluation").windows(work.stream.num_targets, work.config["model"]["seq_len"])

    def run(self, work: Work) -> dict[str, Any]:
        tensors = work.read_artifact().tensors()
        evaluation = work.build("evaluation")
        passes: dict[str, Callable[[GPT], Score]] = {
            "quantized": lambda model: evaluation.plain_score(model, work.stream, work.events),
            "sliding": lambda model: evaluation.sliding_score(model, work.stream, work.events),
        }
        scores, seconds = {}, {}
        for name, score_with in passes.items():
            model = work.load_model(tensors)
            started = time.perf_counter()
            scores[name] = asdict(score_with(model))
            seconds[name] = time.perf_counter() - started
        return {**scores, "seconds": seconds, "artifact_bytes": work.files.get(ARTIFACT).stat().st_size}
