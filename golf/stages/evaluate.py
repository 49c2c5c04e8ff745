"""artifact → score: plain, sliding and test-time training, from the bytes that would be handed in."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from golf.artifact import read_artifact
from golf.errors import UserError
from golf.evaluation.stream import Score
from golf.model.gpt import GPT
from golf.run_files import ARTIFACT
from golf.stages.stage import Stage, Work


class Evaluate(Stage):
    name = "evaluate"
    reads = (ARTIFACT,)
    writes = None
    groups = ("data", "model", "codec", "evaluation", "ttt")

    def check(self, work: Work) -> None:
        work.build("evaluation").windows(work.stream.num_targets, work.config["model"]["seq_len"])
        work.build("ttt").check(work.model_shape())

    def run(self, work: Work) -> dict[str, Any]:
        path = work.files.get(ARTIFACT)
        artifact = read_artifact(path, codec=work.config["codec"])
        if artifact.tokenizer_sha256 != work.data_digests["tokenizer"]["sha256"]:
            raise UserError(f"{path}: the artifact was made with another tokenizer than {work.dataset.tokenizer}")
        tensors = artifact.tensors()
        evaluation, ttt = work.build("evaluation"), work.build("ttt")
        passes: dict[str, Callable[[GPT], Score | None]] = {
            "quantized": lambda model: evaluation.plain_score(model, work.stream, work.events),
            "sliding": lambda model: evaluation.sliding_score(model, work.stream, work.events),
            "ttt": lambda model: ttt.score(model, work.stream, evaluation, work.events),
        }
        scores, seconds = {}, {}
        for name, score_with in passes.items():
            model = work.load_model(tensors)
            started = time.perf_counter()
            score = score_with(model)
            seconds[name] = time.perf_counter() - started
            scores[name] = None if score is None else asdict(score)
        return {
            **scores,
            "seconds": seconds,
            "eval_seconds": sum(seconds.values()),
            "artifact_bytes": path.stat().st_size,
        }
