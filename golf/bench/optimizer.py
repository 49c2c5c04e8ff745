"""The parts of a step besides its micro-steps; the plain ones go tensor by tensor.

Each part by itself, where the host may take longer than the device; and what all of them add to a step of one
micro-step, behind which the host is ahead.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from golf.bench.row import Row
from golf.bench.setting import Setting
from golf.bench.step import WARM, micro_step
from golf.build import build
from golf.optim.muon import Muon
from golf.optim.optimizer import Optimizer
from golf.train.ema import EMA

Work = Callable[[], object]
Pair = tuple[Work, Work]
IN_A_ROW = 8
WHAT = {"clip": "clipping the gradients", "step": "Muon and AdamW", "ema": "the average of the weights"}


def rows(setting: Setting) -> Iterator[Row]:
    model, trainer = setting.model(setting.config), setting.config["trainer"]
    optimizer: Optimizer = build(setting.config["optimizer"], model)
    parameters = list(optimizer.parameters())
    work = micro_step(setting, setting.config, model)
    for _ in range(WARM):
        work()
    ema = None if trainer["ema"] is None else EMA(model, trainer["ema"])

    def clip(foreach: bool) -> object:
        return nn.utils.clip_grad_norm_(parameters, trainer["grad_clip"], foreach=foreach)

    parts: dict[str, Pair] = {
        "clip": (lambda: clip(True), lambda: clip(False)),
        "step": (lambda: optimizer.step(0, 1.0), lambda: step_one_by_one(optimizer)),
    }
    if ema is not None:
        parts["ema"] = (ema.update, lambda: average_one_by_one(ema))
    for name, pair in parts.items():
        found = []
        for part in pair:
            part()  # makes states and loads kernels
            found.append([1e3 * each for each in setting.seconds(part, IN_A_ROW)])
        yield Row(name=f"optimizer.{name}", what=WHAT[name], unit="ms", values=found[0], plain=found[1])
    matrices = sum(parameter.ndim == 2 for parameter in parameters)
    yield Row(
        name="optimizer",
        what=f"{' + '.join(parts)}: what they add to a step of one micro-step",
        unit="ms",
        values=_added(setting, work, [ours for ours, _ in parts.values()]),
        plain=_added(setting, work, [plain for _, plain in parts.values()]),
        details={"matrices": matrices, "parameters": sum(parameter.numel() for parameter in parameters)},
    )


def _added(setting: Setting, work: Work, parts: Sequence[Work]) -> list[float]:
    """Milliseconds per repeat that the parts add to `work`."""

    def step() -> None:
        for each in (work, *parts):
            each()

    whole, alone = (setting.seconds(each, IN_A_ROW) for each in (step, work))
    return [1e3 * (one - other) for one, other in zip(whole, alone, strict=True)]


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
