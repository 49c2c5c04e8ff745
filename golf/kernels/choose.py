"""Which kernels a model computes with."""

from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import torch

from golf.errors import UserError

Kernels = Any  # golf.kernels.plain or golf.kernels.triton, or what offers the same functions
Choice = Literal["auto", "plain", "triton"]


def choose(name: Choice, device: str) -> tuple[str, Kernels]:
    """The kernels `name` and their name, for a type of device; `auto` is Triton's where they work.

    Raises UserError if Triton's are asked for and cannot work.
    """
    if may_be_triton(name):
        missing = _missing() if device == "cuda" else "needs a GPU"
        if name == "triton" and missing:
            raise UserError(f"kernels=triton {missing}; use kernels=auto")
        if not missing:
            from golf.kernels import triton  # which only GPUs have

            return "triton", triton
    from golf.kernels import plain

    return "plain", plain


def may_be_triton(name: Choice) -> bool:
    """Whether `choose` may take Triton's kernels for this name."""
    return name != "plain"


@cache
def _missing() -> str | None:
    """What Triton's kernels lack on a GPU."""
    if find_spec("triton") is None:
        return "needs the package triton"
    if torch.cuda.get_device_capability() < (8, 0):
        return "needs a GPU of at least compute capability 8.0"
    return None
