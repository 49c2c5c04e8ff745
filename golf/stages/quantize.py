"""checkpoint → artifact: quantizes the averaged weights and packs them."""

import time
from typing import Any

from golf import dist
from golf.artifact import bytes_per_tensor, write_artifact
from golf.checkpoint import read_checkpoint
from golf.run_files import ARTIFACT, CHECKPOINT
from golf.stages.stage import Stage, Work


class Quantize(Stage):
    name = chosen_by = "quantize"
    reads = (CHECKPOINT,)
    writes = ARTIFACT
    groups = ("data", "model", "quantizer", "codec")

    def check(self, work: Work) -> None:
        work.build("quantizer").check(work.config["model"]["seq_len"])
        work.build("codec")
        work.loader()  # every rank has something to read

    def run(self, work: Work) -> dict[str, Any]:
        checkpoint = read_checkpoint(work.files.get(CHECKPOINT), "cpu")
        model = work.load_model(checkpoint["ema"] or checkpoint["raw"])
        started = time.perf_counter()
        state = work.build("quantizer").quantize(model, work.loader(), work.events)
        seconds = {"quantize": time.perf_counter() - started}
        if dist.is_main():
            write_artifact(
                work.files.path(ARTIFACT),
                state,
                model=work.config["model"],
                tokenizer_sha256=work.data_digests["tokenizer"]["sha256"],
                codec=work.config["codec"],
            )
        dist.barrier()
        seconds["pack"] = time.perf_counter() - started - seconds["quantize"]
        size = work.files.path(ARTIFACT).stat().st_size
        return {"artifact_bytes": size, "bytes_per_tensor": bytes_per_tensor(state), "seconds": seconds}
