"""Hessians and GPTQ: seconds, and differences between the codes and those computed on the CPU."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from golf.bench.row import Row, Skipped
from golf.bench.setting import Config, Setting
from golf.build import build
from golf.events import Listener
from golf.model.gpt import GPT
from golf.quantizer.gptq import GPTQ
from golf.quantizer.hessian import collect_hessians
from golf.quantizer.quantizer import row_scales

BATCHES = 2  # of calibration that are measured


def rows(setting: Setting) -> Iterator[Row]:
    quantizer, plain = (build(config["quantizer"]) for config in (setting.config, setting.plain))
    if not isinstance(quantizer, GPTQ):
        raise Skipped("quantizer is not GPTQ; choose quantizer=record or gptq")
    model = setting.model(setting.config)
    hessians = _hessians(setting, model, quantizer, BATCHES)
    values, beside = (_calibration(setting, config, quantizer) for config in (setting.config, setting.plain))
    yield Row(
        name="gptq.hessians",
        what=f"{quantizer.calibration_batches} batches of {quantizer.calibration_tokens:,} tokens, from {BATCHES}",
        unit="s",
        values=values,
        plain=beside,
    )
    codes = _codes(quantizer, model, hessians)  # compiles what is compiled
    seconds = setting.seconds(lambda: _codes(quantizer, model, hessians))
    host = {name: hessian.cpu() for name, hessian in hessians.items()}
    on_host = setting.model(setting.plain).cpu()
    started = time.perf_counter()
    expected = _codes(plain, on_host, host)
    yield Row(
        name="gptq.codes",
        what=f"GPTQ of {len(codes)} matrices, against plain kernels on the CPU (once)",
        unit="s",
        values=seconds,
        plain=[time.perf_counter() - started],
        details=_difference(quantizer, model, hessians, codes, expected),
    )


def _hessians(setting: Setting, model: GPT, quantizer: GPTQ, batches: int) -> dict[str, Tensor]:
    tokens = quantizer.calibration_tokens
    return collect_hessians(model, setting.loader(batches * tokens // model.seq_len), batches, tokens, Listener())


def _calibration(setting: Setting, config: Config, quantizer: GPTQ) -> list[float]:
    """Seconds of all calibration batches, extrapolated from BATCHES."""
    model = setting.model(config)
    _hessians(setting, model, quantizer, 1)
    loader, tokens = (
        setting.loader(BATCHES * quantizer.calibration_tokens // model.seq_len),
        quantizer.calibration_tokens,
    )
    found = setting.seconds(lambda: collect_hessians(model, loader, BATCHES, tokens, Listener()))
    return [each * quantizer.calibration_batches / BATCHES for each in found]


def _codes(quantizer: GPTQ, model: GPT, hessians: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, layer in quantizer.layers(model).items():
        weight, (bits, clip) = layer.weight.detach().float(), quantizer.width_of(layer)
        found[name] = quantizer.codes(
            weight, row_scales(weight, bits, clip).float(), bits, hessians[name], model.kernels
        )
    return found


def _difference(
    quantizer: GPTQ, model: GPT, hessians: dict[str, Tensor], codes: dict[str, Tensor], expected: dict[str, Tensor]
) -> dict[str, float]:
    """The share of equal codes, the largest difference, and the ratio of the errors tr((W−Ŵ)H(W−Ŵ)ᵀ)."""
    same, largest, errors = 0, 0, [0.0, 0.0]
    for name, layer in quantizer.layers(model).items():
        weight, (bits, clip) = layer.weight.detach().float(), quantizer.width_of(layer)
        scale, hessian = row_scales(weight, bits, clip).double()[:, None], hessians[name].double()
        both = codes[name], expected[name].to(weight.device)
        apart = (both[0] - both[1]).abs()
        same, largest = same + int((apart == 0).sum()), max(largest, int(apart.max()))
        for i, each in enumerate(both):
            off = weight.double() - each.double() * scale
            errors[i] += torch.sum(off @ hessian * off).item()
    total = sum(each.numel() for each in codes.values())
    return {"equal_codes": same / total, "largest_difference": largest, "error_ratio": errors[0] / errors[1]}
