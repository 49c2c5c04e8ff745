"""checkpoint → artifact: quantizes the averaged weights and packs them."""

import math
import time
from typing import Any

from torch import Tensor

from golf.io.artifact import State, bytes_per_tensor, write_artifact
from golf.io.checkpoint import read_checkpoint
from golf.io.run_directory import ARTIFACT, CHECKPOINT
from golf.model.gpt import GPT
from golf.quantizer.fit import factor_with, fit
from golf.quantizer.quantizer import SDClipQuantizer
from golf.runtime import dist
from golf.runtime.finite import TRAINED_TOO_FAST, require_finite
from golf.stages.context import StageContext
from golf.stages.stage import Stage


class Quantize(Stage):
    name = "quantize"
    reads = (CHECKPOINT,)
    writes = ARTIFACT
    groups = ("data", "model", "quantizer", "codec")
    when_out_of_memory = ("lower quantizer.calibration_tokens",)

    def depends(self, context: StageContext) -> dict[str, Any]:
        return {"room": context.room} if context.build("quantizer").is_to_fit() else {}

    def check(self, context: StageContext) -> None:
        context.build("quantizer").check(context.config["model"]["seq_len"])
        context.build("codec")
        context.loader()  # every rank has something to read

    def run(self, context: StageContext) -> dict[str, Any]:
        checkpoint = read_checkpoint(context.files.get(CHECKPOINT), "cpu")
        model = context.load_model(checkpoint["ema"] or checkpoint["raw"])
        require_finite({f"the weight {name}": weight for name, weight in model.state_dict().items()}, TRAINED_TOO_FAST)
        quantizer = context.build("quantizer")
        started = time.perf_counter()
        if quantizer.is_to_fit():
            quantizer, state, size, packing = _fit(quantizer, model, context)
        else:
            state = quantizer.quantize(model, context.loader(), context.events)
            size, packing = _write(ARTIFACT, state, context)
        seconds = {"quantize": time.perf_counter() - started - packing, "pack": packing}
        clips = quantizer.clips() if isinstance(quantizer, SDClipQuantizer) else {}
        result = {"artifact_bytes": size, "bytes_per_tensor": bytes_per_tensor(state), "seconds": seconds, **clips}
        if raised := quantizer.raised_damping:
            context.events.event("damping_raised", stage=self.name, tensors=len(raised), highest=max(raised.values()))
            result["raised_damping"] = raised
        return result


def _fit(quantizer: SDClipQuantizer, model: GPT, context: StageContext) -> tuple[SDClipQuantizer, State, int, float]:
    """Write the largest artifact that there is room for; the quantizer with its clips, the state, the bytes, and the
    seconds that packing took."""
    hessians, counts = quantizer.calibrate(model, context.loader(), context.events), quantizer.count_codes(model)
    tried: dict[float, tuple[SDClipQuantizer, State, int]] = {}
    packing = 0.0

    def candidate(factor: float) -> str:
        return f".{ARTIFACT}.{factor}"

    def measure(factor: float) -> int:
        nonlocal packing
        scaled = quantizer.scaled(factor)
        state = scaled.encode(model, hessians, context.events)
        size, took = _write(candidate(factor), state, context)
        packing += took
        context.events.event("fit_bytes", stage="quantize", **scaled.clips(), artifact_bytes=size, room=context.room)
        tried[factor] = scaled, state, size
        return size

    try:
        factor = fit(measure, counts, context.room)
        if dist.is_main():
            context.files.path(candidate(factor)).replace(context.files.path(ARTIFACT))
    finally:
        if dist.is_main():
            for other in tried:
                context.files.path(candidate(other)).unlink(missing_ok=True)
    dist.barrier()  # the artifact is there for all
    scaled, state, size = tried[factor]
    finest = factor == factor_with(counts, math.inf)
    context.events.event("fitted", stage="quantize", **scaled.clips(), unused=context.room - size, finest=finest)
    return scaled, state, size, packing


def _write(name: str, state: State, context: StageContext) -> tuple[int, float]:
    """Let rank 0 write the artifact as the file `name`; its bytes, on every rank, and the seconds that it took."""
    plain = {f"the float16 {name}": tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    require_finite(plain, TRAINED_TOO_FAST)
    started, size = time.perf_counter(), None
    if dist.is_main():
        size = write_artifact(
            context.files.path(name),
            state,
            model=context.config["model"],
            tokenizer_sha256=context.data_digests["tokenizer"]["sha256"],
            codec=context.config["codec"],
        )
    return dist.broadcast_object(size), time.perf_counter() - started
