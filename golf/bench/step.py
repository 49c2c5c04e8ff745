"""A training micro-step: forward and backward, queued without waiting for the device."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from golf.bench.row import Row
from golf.bench.setting import Config, Setting
from golf.build import build
from golf.model.gpt import GPT
from golf.runtime import gradients
from golf.runtime.cuda_graph import CudaGraphed
from golf.runtime.device import autocast

IN_A_ROW = 8
WARM = 3  # eager, captured, replayed
ORDERS = {False: "plain_order", True: "recurrent"}


@dataclass(frozen=True)
class _Speed:
    seconds: list[float]
    first: float  # seconds of the first calls, with compilation
    gib: float


def rows(setting: Setting) -> Iterator[Row]:
    for recurrent, name in ORDERS.items():
        found, plain = (_speed(setting, config, recurrent) for config in (setting.config, setting.plain))
        tokens = setting.micro_batch() * setting.config["model"]["seq_len"]
        yield Row(
            name=f"step.{name}",
            what=f"micro-step of {tokens:,} tokens",
            unit="ms",
            values=[1e3 * each for each in found.seconds],
            plain=[1e3 * each for each in plain.seconds],
            details={
                "tokens_per_second": tokens / median(found.seconds),
                "plain_tokens_per_second": tokens / median(plain.seconds),
                "peak_gib": found.gib,
                "plain_peak_gib": plain.gib,
                "first_seconds": found.first,
                "plain_first_seconds": plain.first,
            },
        )


def _speed(setting: Setting, config: Config, recurrent: bool) -> _Speed:
    model = setting.model(config)
    model.recurrent = recurrent
    work = micro_step(setting, config, model)
    setting.reset_peak()
    started = setting.now()
    for _ in range(WARM):
        work()
    first = setting.now() - started
    return _Speed(setting.seconds(work, IN_A_ROW), first, setting.peak_gib())


def micro_step(setting: Setting, config: Config, model: GPT) -> Callable[[], object]:
    """The trainer's work on a micro-batch, always the same one."""
    if build(config["compute"]).open().compile:
        model.compile(dynamic=False)
    parameters = list(model.parameters())
    gradients.zero(parameters)

    def backward(model: GPT, ids: Tensor, targets: Tensor) -> Tensor:
        with autocast(setting.device):
            loss: Tensor = model(ids, targets) / config["trainer"]["micro_batches"]
        gradients.accumulate(loss, parameters)
        return loss.detach()

    batch, replayed = setting.batch(), CudaGraphed(model, backward, setting.device)
    return lambda: replayed(*batch)
