"""Checks artifact and code against the size limit; the error names the largest parts and a remedy."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from golf.errors import UserError
from golf.io.limits import TOTAL_BYTES
from golf.io.run_directory import ARTIFACT
from golf.quantizer.fit import TOLERANCE, entropy_bytes, factor_with
from golf.quantizer.quantizer import SDClipQuantizer
from golf.run.plots import GROUPS, group_of
from golf.stages.context import StageContext

CODEC_OVERHEAD = 1.05  # a good codec takes 1 or 2 % more than the entropy
CODEC_ANSWERS = 1.25  # bytes of entropy to save per byte in the file, conservatively


def check_size(context: StageContext) -> None:
    """Raise UserError if the artifact with the code is larger than allowed. All files are kept."""
    report = context.files.read_report("quantize")
    assert report is not None
    result = report["result"]
    over = result["artifact_bytes"] - context.room
    if over <= 0:
        return
    from golf.config.override import override  # imports Hydra, which workers do not need

    sizes = ", ".join(f"{group} {size:,.0f}" for group, size in _bytes_per_group(result).items())
    raise UserError(
        f"{context.files.path(ARTIFACT)}: with the code it is {over:,} bytes above the limit of {TOTAL_BYTES:,} "
        f"({sizes}, code {TOTAL_BYTES - context.room:,}); {_remedy(result, context, over)}; "
        f"to score it all the same, add 'stages=[evaluate]' {override('input', context.files.directory)}"
    )


def _bytes_per_group(result: Mapping[str, Any]) -> dict[str, float]:
    """The bytes of the artifact by group of tensors, in proportion to the tensors' estimates."""
    groups = dict.fromkeys(GROUPS, 0.0)
    for name, size in result["bytes_per_tensor"].items():
        groups[group_of(name)] += size
    dealt = result["artifact_bytes"] / sum(groups.values())
    return {group: size * dealt for group, size in groups.items()}


def _remedy(result: Mapping[str, Any], context: StageContext, over: int) -> str:
    """A change of the configuration that would bring it under the limit."""
    if CODEC_OVERHEAD * sum(result["bytes_per_tensor"].values()) <= context.room:
        return "codec=range would bring it under"
    quantizer = context.build("quantizer")
    if not isinstance(quantizer, SDClipQuantizer):
        return "codes take far less than float16, as with quantizer=gptq"
    used = replace(quantizer, **{name: result[name] for name in quantizer.clips()})
    codes = used.count_codes(context.model_shape())
    wanted = entropy_bytes(codes, 1.0) - CODEC_ANSWERS * over - TOLERANCE * context.room
    factor = factor_with(codes, wanted)
    if entropy_bytes(codes, factor) > wanted:
        return "no clip would bring it under; take fewer bits, a lower quantizer.min_elements or a smaller model"
    clips = [f"quantizer.{name}={math.ceil(100 * clip) / 100:g}" for name, clip in used.scaled(factor).clips().items()]
    search = "" if quantizer.fit_bytes else ", and quantizer.fit_bytes=true finds those that just do"
    return f"{' '.join(clips)} would bring it under{search}"
