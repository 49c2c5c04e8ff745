"""artifact → score with test-time training; a stage beside Evaluate, so that ablations of it compute nothing else."""

import time
from dataclasses import asdict
from typing import Any

from golf.io.run_directory import ARTIFACT
from golf.stages.context import StageContext
from golf.stages.stage import Stage


class TTT(Stage):
    name = "ttt"
    part_of = "evaluate"
    reads = (ARTIFACT,)
    writes = None
    groups = ("data", "model", "codec", "evaluation", "ttt")
    when_out_of_memory = ("lower ttt.batch_seqs", "lower ttt.hash_buckets", "lower evaluation.batch_tokens")

    def check(self, context: StageContext) -> None:
        context.build("evaluation").windows(context.stream.num_targets, context.config["model"]["seq_len"])
        context.build("ttt").check(context.model_shape())

    def run(self, context: StageContext) -> dict[str, Any]:
        model = context.load_model(context.read_artifact().tensors())
        started = time.perf_counter()
        ledger = context.build("evaluation").sliding(context.stream, model.seq_len, context.probe)
        context.build("ttt").adapt(model, ledger, context.events, context.checkpointer)
        score = ledger.close()
        seconds = context.checkpointer.stage_seconds + time.perf_counter() - started
        return {"ttt": None if score is None else asdict(score), "seconds": seconds, "facts": ledger.facts()}
