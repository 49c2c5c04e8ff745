"""Which kernels a model computes with."""

from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import torch

from golf.errors import UserError

Kernels = Any  # golf.kernels.plain or golf.kernels.triton, or what offers the same functions
Choice = Literal["auto", "plain", "triton", "quack"]


def choose_kernels(name: Choice, device: str) -> tuple[str, Kernels]:
    """The kernels `name` and their name, for a type of device; `auto` is Triton's where they work.

    Raises UserError if others than the plain ones are asked for and cannot work.
    """
    if may_be_triton(name):
        missing = _missing(name) if device == "cuda" else "needs a GPU"
        if name != "auto" and missing:
            raise UserError(f"kernels={name} {missing}; use kernels=auto")
        if is_quack(name):
            try:
                from golf.kernels import quack
            except Exception as error:  # CUTLASS raises what it likes where it does not fit the machine
                how = "pip install 'golf[hopper]', or use kernels=auto"
                raise UserError(f"kernels=quack is not installed ({error}): {how}") from error
            return "quack", quack
        if not missing:
            from golf.kernels import triton  # which only GPUs have

            return "triton", triton
    from golf.kernels import plain

    return "plain", plain


def may_be_triton(name: Choice) -> bool:
    """Whether `choose` may take kernels in Triton for this name."""
    return name != "plain"


def is_quack(name: Choice) -> bool:
    """Whether it is Triton's with quack's products that `choose` takes for this name."""
    return name == "quack"


@cache
def _missing(name: Choice) -> str | None:
    """What kernels that are not plain lack on a GPU."""
    if find_spec("triton") is None:
        return "needs the package triton"
    capability = torch.cuda.get_device_capability()
    if capability < (8, 0):
        return "needs a GPU of at least compute capability 8.0"
    if is_quack(name) and capability != (9, 0):
        return "needs a Hopper GPU"
    return None
