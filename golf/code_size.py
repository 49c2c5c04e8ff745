"""How many bytes of code a submission would carry, estimated until a packer measures it."""

import lzma
from collections.abc import Mapping
from typing import Any

from golf.build import module_of
from golf.sources import closure

# What a submission needs. These modules import torch, numpy, sentencepiece and the codec's package, nothing else.
CORE = (
    "golf.artifact",
    "golf.atomic",
    "golf.build",
    "golf.codec",
    "golf.container",
    "golf.data.dataset",
    "golf.data.digest",
    "golf.data.loader",
    "golf.data.shard",
    "golf.data.tokenizer",
    "golf.device",
    "golf.dist",
    "golf.errors",
    "golf.evaluation",
    "golf.events",
    "golf.model",
    "golf.optim",
    "golf.quantizer",
    "golf.train",
    "golf.ttt",
)
EVERY_RUN = ("golf.artifact", "golf.data.dataset")  # needed whatever is configured
PARTS = ("model", "optimizer", "trainer", "quantizer", "codec", "evaluation", "ttt")


def is_core(module: str) -> bool:
    """Whether the module named is one of CORE or lies in one of its packages."""
    return any(module == name or module.startswith(f"{name}.") for name in CORE)


def estimate_code_bytes(config: Mapping[str, Any]) -> int:
    """Bytes of the `sources` of a run of `config`, compressed together with LZMA; raises UserError as they do."""
    together = "\n".join(source for _, source in sorted(sources(config).items()))
    return len(lzma.compress(together.encode(), preset=9 | lzma.PRESET_EXTREME))


def sources(config: Mapping[str, Any]) -> dict[str, str]:
    """Minified source, by name, of every module that a run of `config` needs: those of the configured classes, and of
    what these import the core and the user's own. Raises UserError if one of them has no Python source."""
    return closure({*EVERY_RUN, *(module_of(config[part]) for part in PARTS)}, is_core)
