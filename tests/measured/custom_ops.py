"""Does torch.compile combine with Triton kernels without loss, as operations of their own or as they are?

    python tests/measured/custom_ops.py > custom_ops_h100.json

Measures a training micro-step at the record's shapes, in turns, in one process for each way: the plain parts compiled;
these with the cross-entropy in Triton, in an autograd.Function and as a `torch.library.triton_op`; all parts in Triton,
captured (what golf does) and compiled.
"""

import json
import subprocess
import sys
from datetime import date
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

WAYS = ("plain", "function", "operation", "captured", "compiled")
REPEATS, IN_A_ROW, WARM = 5, 8, 6


def as_operation() -> Any:
    """golf.kernels.cross_entropy_triton as an operation that compilers see through."""
    from golf.kernels import cross_entropy_triton as ce
    from golf.kernels.launch import compute_dtype, power_of_2, weight_gradient

    @torch.library.triton_op("golf::cross_entropy", mutates_args={})
    def nats_and_gradient(flat: Tensor, weight: Tensor, targets: Tensor, cap: float) -> tuple[Tensor, Tensor]:
        logits = F.linear(flat, weight)
        nats = flat.new_empty(flat.size(0), dtype=torch.float32)
        torch.library.wrap_triton(ce._cross_entropy)[(flat.size(0),)](
            logits, targets, nats, cap, 1 / flat.size(0), weight.size(0), power_of_2(weight.size(0)), True, cap > 40,
            num_warps=ce.WARPS,
        )  # fmt: skip
        return nats.mean(), logits

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0], inputs[1], output[1])
        ctx.mark_non_differentiable(output[1])

    def backward(ctx: Any, dloss: Tensor, _: Tensor) -> Any:
        flat, weight, dlogits = ctx.saved_tensors
        return dlogits @ (weight * dloss).to(weight.dtype), weight_gradient(dlogits, flat) * dloss, None, None

    nats_and_gradient.register_autograd(backward, setup_context=keep)

    def cross_entropy(hidden: Tensor, embedding: Tensor, targets: Tensor, cap: float) -> Tensor:
        dtype = compute_dtype(hidden)
        return nats_and_gradient(hidden.flatten(0, -2).to(dtype), embedding.to(dtype), targets.flatten(), cap)[0]

    return cross_entropy


def of(kernels: Any) -> dict[str, Any]:
    return {name: getattr(kernels, name) for name in kernels.__all__}


def measure(way: str, recurrent: bool) -> dict[str, Any]:
    """Milliseconds of a micro-step, seconds until the first three are done, peak memory and the loss."""
    from pathlib import Path

    from golf.bench.setting import Setting
    from golf.bench.step import micro_step
    from golf.kernels import cross_entropy_triton, plain, triton

    kernels = "triton" if way in ("captured", "compiled") else "plain"
    overrides = ["experiment=record", "compute=auto", "compute.attention=sdpa", f"compute.kernels={kernels}"]
    setting = Setting.of(overrides, REPEATS, Path())
    model = setting.model(setting.config)
    model.recurrent = recurrent
    if way == "function":
        model.set_kernels(SimpleNamespace(**of(plain) | {"cross_entropy": cross_entropy_triton.cross_entropy}))
    if way == "operation":
        model.set_kernels(SimpleNamespace(**of(plain) | {"cross_entropy": as_operation()}))
    if way == "compiled":
        model.set_kernels(SimpleNamespace(**of(triton) | {"COMPILED": True}))
        model.compile(dynamic=False)
    setting.reset_peak()
    work, started = micro_step(setting, setting.config, model), setting.now()
    for _ in range(WARM):
        loss = work()
    first = setting.now() - started
    return {
        "ms": [1e3 * seconds for seconds in setting.seconds(work, IN_A_ROW)],
        "first_seconds": first,
        "peak_gib": setting.peak_gib(),
        "loss": float(loss),
    }


def main() -> None:
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1], sys.argv[2] == "recurrent")))
        return
    rows = []
    for order in ("plain", "recurrent"):
        for way in WAYS if order == "plain" else ("plain", "operation", "captured"):
            done = subprocess.run([sys.executable, __file__, way, order], capture_output=True, text=True, check=False)
            found = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr.strip()[-600:]}
            rows.append({"order": order, "way": way, **found})
            ms = f"{median(found['ms']):.2f} ms" if "ms" in found else found["error"][-300:]
            print(order, way, ms, file=sys.stderr, flush=True)
    about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "date": str(date.today())}
    print(json.dumps({**about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
