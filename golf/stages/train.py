"""data → checkpoint: trains the model and scores its weights before quantization."""

from dataclasses import asdict
from typing import Any

import torch

from golf.evaluation.score_all import score_all
from golf.evaluation.stream import Score
from golf.io.checkpoint import Checkpoint, write_checkpoint
from golf.io.run_directory import CHECKPOINT
from golf.model.gpt import GPT
from golf.runtime import dist
from golf.stages.context import StageContext
from golf.stages.stage import Stage


class Train(Stage):
    name = "train"
    reads = ()
    writes = CHECKPOINT
    groups = ("seed", "data", "model", "optimizer", "trainer", "evaluation")
    when_out_of_memory = ("raise trainer.micro_batches", "lower evaluation.batch_tokens")

    def depends(self, context: StageContext) -> dict[str, Any]:
        return {"compile": context.backend.compile, "deterministic": context.backend.deterministic}

    def check(self, context: StageContext) -> None:
        context.build("trainer").check(context.config["model"]["seq_len"])
        context.build("optimizer", context.model_shape())
        context.loader()  # every rank has something to read

    def run(self, context: StageContext) -> dict[str, Any]:
        evaluation = context.build("evaluation")

        def validate(model: GPT) -> Score:
            return score_all(evaluation.plain(context.stream, model.seq_len), model, "plain", context.events)

        torch.manual_seed(context.config["seed"])
        model = context.new_model()
        optimizer = context.build("optimizer", model)
        if context.backend.compile:
            model.compile(dynamic=False)
        with context.backend.determinism():
            trained = context.build("trainer").train(
                model, optimizer, context.loader(), validate, context.events, context.checkpointer
            )
        checkpoint: Checkpoint = {
            "model": context.config["model"],
            "tokenizer_sha256": context.data_digests["tokenizer"]["sha256"],
            "raw": trained.raw,
            "ema": trained.ema,
        }
        if dist.is_main():
            write_checkpoint(context.files.path(CHECKPOINT), checkpoint)
        raw = prequant = validate(model)
        points = {"val_loss": raw.val_loss, "val_bpb": raw.val_bpb}
        if trained.ema is not None:
            model.load_state_dict(trained.ema)
            prequant = validate(model)
            points |= {"ema_val_loss": prequant.val_loss, "ema_val_bpb": prequant.val_bpb}
        context.events.metrics("validate", trained.steps, **points)
        return {
            "steps": trained.steps,
            "tokens": trained.tokens,
            "seconds": trained.seconds,
            "tokens_per_second": trained.tokens / trained.seconds,
            "raw": asdict(raw),
            "prequant": asdict(prequant),
        }
