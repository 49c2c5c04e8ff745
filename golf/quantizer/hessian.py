"""Hessians of the layers' inputs over calibration batches (spec: Quantization)."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golf.data.loader import Loader
from golf.events import Listener
from golf.kernels.interface import Kernels
from golf.model.gpt import GPT
from golf.runtime import dist
from golf.runtime.device import autocast
from golf.runtime.finite import TRAINED_TOO_FAST, require_finite


class _Collector:
    """Kernels that sum XᵀX of the input X of each weight, by the weight's name; weights with the same X share the sum.

    X has the dtype that layers compute in: products of bfloat16 numbers are exact in float32, in which they are summed.
    """

    def __init__(self, kernels: Kernels, names: dict[int, str]):
        self.kernels = kernels
        self.names = names
        self.sums: dict[tuple[str, ...], Tensor] = {}

    def __getattr__(self, function: str) -> Any:
        return getattr(self.kernels, function)

    def meet(self, x: Tensor, *weights: Tensor) -> None:
        device = x.device.type
        x = x.flatten(0, -2)
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        gram = torch.mm(x.T, x, out_dtype=torch.float32) if x.is_cuda and x.dtype != torch.float32 else x.T @ x
        names = tuple(self.names[id(weight)] for weight in weights)
        self.sums[names] = self.sums[names].add_(gram) if names in self.sums else gram

    def heads(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, *rest: Any) -> Any:
        self.meet(x, q, k, v)
        return self.kernels.heads(x, q, k, v, *rest)

    def linear(self, x: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        self.meet(x, weight)
        return self.kernels.linear(x, weight, scale)

    def mlp(self, x: Tensor, fc: Tensor, proj: Tensor, scale: Tensor) -> Tensor:
        self.meet(x, fc)
        return self.linear(self.kernels.activation(F.linear(x, fc)), proj, scale)


@torch.no_grad()
def collect_hessians(
    model: GPT, loader: Loader, batches: int, batch_tokens: int, events: Listener
) -> dict[str, Tensor]:
    """Mean over the batches of XᵀX, float32 (inputs, inputs), by the name of the weight with input X.

    The passes through a recurrent block are summed. The tied embedding's input is the head's. The ranks share the
    batches, and every rank returns the mean over all. Weights with the same X share a tensor. Raises Diverged if a mean
    is not finite.
    """
    names = {
        id(module.weight): f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding)
    }
    device = model.tok_emb.weight.device
    kernels = model.kernels
    collector = _Collector(kernels, names)
    model.set_kernels(cast(Kernels, collector))  # it has all of their functions
    try:
        for i in range(dist.rank(), batches, dist.world_size()):
            ids, _ = loader.batch(batch_tokens // model.seq_len)
            with autocast(device):
                collector.meet(model.hidden(ids.to(device)), model.tok_emb.weight)
            events.progress("calibrate", i + 1, batches)
    finally:
        model.set_kernels(kernels)
    dist.all_reduce_sum(list(collector.sums.values()))
    means = {names: total / batches for names, total in collector.sums.items()}
    require_finite({f"the Hessian of {' and '.join(names)}": mean for names, mean in means.items()}, TRAINED_TOO_FAST)
    return {name: mean for names, mean in means.items() for name in names}
