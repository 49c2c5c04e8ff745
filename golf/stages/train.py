"""data → checkpoint: trains the model and scores its weights before quantization."""

from dataclasses import asdict
from typing import Any

import torch

from golf.evaluation.stream import Score
from golf.io.checkpoint import Checkpoint, write_checkpoint
from golf.io.run_directory import CHECKPOINT
from golf.model.gpt import GPT
from golf.runtime import dist
from golf.stages.stage import Stage, Work, score_all


class Train(Stage):
    name = chosen_by = "train"
    reads = ()
    writes = CHECKPOINT
    groups = ("seed", "data", "model", "optimizer", "trainer", "evaluation")
    when_out_of_memory = ("raise trainer.micro_batches", "lower evaluation.batch_tokens")

    def check(self, work: Work) -> None:
        work.build("trainer").check(work.config["model"]["seq_len"])
        work.build("optimizer", work.model_shape())
        work.loader()  # every rank has something to read

    def run(self, work: Work) -> dict[str, Any]:
        evaluation = work.build("evaluation")

        def validate(model: GPT) -> Score:
            return score_all(evaluation.plain(work.stream, model.seq_len), model, "plain", work.events)

        torch.manual_seed(work.config["seed"])
        model = work.new_model()
        optimizer = work.build("optimizer", model)
        trained = work.build("trainer").train(model, optimizer, work.loader(), validate, work.events)
        checkpoint: Checkpoint = {
            "model": work.config["model"],
            "tokenizer_sha256": work.data_digests["tokenizer"]["sha256"],
            "raw": trained.raw,
            "ema": trained.ema,
        }
        if dist.is_main():
            write_checkpoint(work.files.path(CHECKPOINT), checkpoint)
        raw = prequant = validate(model)
        points = {"val_loss": raw.val_loss, "val_bpb": raw.val_bpb}
        if trained.ema is not None:
            model.load_state_dict(trained.ema)
            prequant = validate(model)
            points |= {"ema_val_loss": prequant.val_loss, "ema_val_bpb": prequant.val_bpb}
        work.events.metrics("validate", trained.steps, **points)
        return {
            "steps": trained.steps,
            "tokens": trained.tokens,
            "seconds": trained.seconds,
            "tokens_per_second": trained.tokens / trained.seconds,
            "raw": asdict(raw),
            "prequant": asdict(prequant),
        }
