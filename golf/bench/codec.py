"""Codecs on the codes of Gaussian weights, whose entropy no codec can beat except by chance."""

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import yaml

from golf.bench.row import Row, Skipped
from golf.bench.setting import Setting
from golf.build import build
from golf.codec.base import Form
from golf.errors import UserError
from golf.kernels.rounding import largest_code
from golf.paths import config_dir
from golf.quantizer.quantizer import SDClipQuantizer

AT_MOST = {
    "range": math.inf,
    "lzma": 2e6,
    "brotli": 2e6,
}  # codes: the record's would take minutes


def rows(setting: Setting) -> Iterator[Row]:
    codes = _codes(setting)
    for name, limit in AT_MOST.items():
        file = config_dir() / "codec" / f"{name}.yaml"
        if not file.exists():
            continue
        codec = build(yaml.safe_load(file.read_text(encoding="utf-8")))
        arrays = _first(codes, limit)
        started = time.perf_counter()
        encoded = codec.encode(arrays)
        between = time.perf_counter()
        decoded = codec.decode(encoded, [Form(array.dtype.str, array.shape) for array in arrays])
        ended = time.perf_counter()
        if not all(np.array_equal(array, other) for array, other in zip(arrays, decoded, strict=True)):
            raise UserError(f"codec={name} is not lossless")
        count = sum(array.size for array in arrays)
        what = f"{count:,} codes{'' if count == sum(array.size for array in codes) else ' of more'}"
        entropy = sum(map(_entropy_bytes, arrays))
        yield Row(name=f"codec.{name}.encode", what=what, unit="s", values=[between - started])
        yield Row(name=f"codec.{name}.decode", what=what, unit="s", values=[ended - between])
        yield Row(
            name=f"codec.{name}.bytes",
            what=f"{what}, against their order-0 entropy",
            unit="bytes",
            values=[len(encoded)],
            plain=[entropy],
        )


def _codes(setting: Setting) -> list[np.ndarray]:
    """Codes of unit Gaussians, int8 (rows, columns), in the shapes and bit widths of the configured model."""
    quantizer = build(setting.config["quantizer"])
    if not isinstance(quantizer, SDClipQuantizer):
        raise Skipped("quantizer makes no codes; choose quantizer=record or gptq")
    with torch.device("meta"):
        model = build(setting.config["model"], setting.backend)
    random, found = np.random.default_rng(setting.config["seed"]), []
    for layer in quantizer.layers(model).values():
        bits, clip = quantizer.width_of(layer)
        limit = largest_code(bits)
        steps = random.standard_normal(tuple(layer.weight.shape), np.float32) * (limit / clip)
        found.append(steps.round().clip(-limit, limit).astype(np.int8))
    return found


def _first(codes: Sequence[np.ndarray], limit: float) -> list[np.ndarray]:
    """The first rows, at most `limit` codes in all."""
    found = []
    for array in codes:
        kept = array[: int(min(limit / array.shape[1], len(array)))]
        limit -= kept.size
        if len(kept):
            found.append(kept)
    return found


def _entropy_bytes(array: np.ndarray) -> float:
    _, counts = np.unique(array, return_counts=True)
    return float((counts * np.log2(array.size / counts)).sum() / 8)
