"""Which kernels a model computes with."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

import torch

from golf.errors import UserError

Kernels = Any  # golf.kernels.plain or golf.kernels.triton, or what offers the same functions
Choice = Literal["auto", "plain", "triton"]


def modules_for(name: Choice) -> tuple[str, ...]:
    """The modules that `choose` may import for a name, wherever it is asked."""
    return ("golf.kernels.plain",) if name == "plain" else ("golf.kernels.plain", "golf.kernels.triton")


@cache
def choose(name: Choice, device: str) -> tuple[str, Kernels]:
    """The kernels `name` and their name, for a type of device; `auto` is Triton's where they work.

    Raises UserError if Triton's are asked for and cannot work.
    """
    missing = None
    if device != "cuda":
        missing = "needs a GPU"
    elif find_spec("triton") is None:
        missing = "needs the package triton"
    elif torch.cuda.get_device_capability() < (8, 0):
        missing = "needs a GPU of at least compute capability 8.0"
    if name == "triton" and missing:
        raise UserError(f"model.kernels=triton {missing}; use model.kernels=auto")
    chosen = "plain" if missing or name == "plain" else "triton"
    return chosen, import_module(f"golf.kernels.{chosen}")
