"""What a step does besides its micro-steps; plainly, with one tensor after the other."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

from golf.bench.row import Row
from golf.bench.setting import Setting
from golf.build import build
from golf.optim.muon import Muon
from golf.optim.optimizer import Optimizer
from golf.train.ema import EMA

IN_A_ROW = 4
WHAT = {"clip": "clipping the gradients", "step": "Muon and AdamW", "ema": "the average of the weights"}


def rows(setting: Setting) -> Iterator[Row]:
    model, trainer = setting.model(setting.config), setting.config["trainer"]
    optimizer: Optimizer = build(setting.config["optimizer"], model)
    parameters = list(optimizer.parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    ema = None if trainer["ema"] is None else EMA(model, trainer["ema"])

    def clip(foreach: bool) -> object:
        return nn.utils.clip_grad_norm_(parameters, trainer["grad_clip"], foreach=foreach)

    works: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "clip": (lambda: clip(True), lambda: clip(False)),
        "step": (lambda: optimizer.step(0, 1.0), lambda: step_one_by_one(optimizer)),
    }
    if ema is not None:
        works["ema"] = (ema.update, lambda: average_one_by_one(ema))
    totals = [0.0] * setting.repeats, [0.0] * setting.repeats
    for name, pair in works.items():
        found = []
        for i, work in enumerate(pair):
            work()  # makes states and loads kernels
            found.append([1e3 * each for each in setting.seconds(work, IN_A_ROW)])
            totals[i][:] = [total + each for total, each in zip(totals[i], found[-1], strict=True)]
        yield Row(name=f"optimizer.{name}", what=WHAT[name], unit="ms", values=found[0], plain=found[1])
    matrices = sum(parameter.ndim == 2 for parameter in parameters)
    details = {"matrices": matrices, "parameters": sum(parameter.numel() for parameter in parameters)}
    yield Row(name="optimizer", what=" + ".join(works), unit="ms", values=totals[0], plain=totals[1], details=details)


def step_one_by_one(optimizer: Optimizer) -> None:
    """`optimizer.step(0, 1.0)`, with Muon's matrices in batches of one."""
    for part in optimizer.parts:
        if not isinstance(part, Muon):
            part.step()
            continue
        for group in part.param_groups:
            matrices = group["params"]
            for matrix in matrices:
                group["params"] = [matrix]
                part.step()
            group["params"] = matrices


@torch.no_grad()
def average_one_by_one(ema: EMA) -> None:
    """`ema.update()`, one tensor after the other."""
    for average, live in zip(ema.average, ema.live, strict=True):
        average.lerp_(live.float(), 1 - ema.decay)
