"""Hessians of the layers' inputs over calibration batches (spec: Quantization)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from golf import dist
from golf.data.loader import Loader
from golf.device import autocast
from golf.events import Listener
from golf.model.gpt import GPT


@torch.no_grad()
def collect_hessians(
    model: GPT, loader: Loader, batches: int, batch_tokens: int, events: Listener
) -> dict[str, Tensor]:
    """Mean over the batches of XᵀX, float32 (inputs, inputs), by the name of the weight that X meets.

    The passes through a recurrent block are summed. The tied embedding meets the head's input. The batches are dealt
    to the ranks, and every rank returns the mean over all.
    """
    sums: dict[str, Tensor] = {}

    def add(name: str, x: Tensor) -> None:
        x = x.flatten(0, -2).float()
        if name not in sums:
            sums[name] = x.new_zeros(x.size(1), x.size(1))
        sums[name].addmm_(x.T, x)

    def on_input(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        add(name, inputs[0])

    hooks = [
        module.register_forward_pre_hook(partial(on_input, f"{name}.weight"))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    device = model.tok_emb.weight.device
    try:
        for i in range(dist.rank(), batches, dist.world_size()):
            ids, _ = loader.batch(batch_tokens // model.seq_len)
            with autocast(device):
                add("tok_emb.weight", model.hidden(ids.to(device)))
            events.progress("calibrate", i + 1, batches)
    finally:
        for hook in hooks:
            hook.remove()
    dist.sum_(list(sums.values()))
    return {name: total / batches for name, total in sums.items()}
