"""How everything is computed (conf/compute). Results depend on it by rounding only."""

from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

import torch

from golf.errors import UserError
from golf.kernels.attention import choose_attention
from golf.kernels.backend import Backend, kernels_module, open_backend
from golf.runtime.device import pick_device

Choice = Literal["auto", "plain", "triton", "quack"]
FASTEST_FIRST: tuple[Choice, ...] = ("quack", "triton")  # of `auto` on a GPU


@dataclass(kw_only=True)
class Compute:
    """`auto` is the fastest that works on the device; `threads`: of this process on the CPU (null: one per core).
    `compile: auto` compiles on a GPU; only the plain kernels are compiled. `deterministic` prefers operations in
    training that are reproducible from run to run."""

    device: Literal["auto", "cpu", "cuda"]
    threads: int | None
    attention: Literal["auto", "fa3", "fa2", "fa4", "hybrid", "sdpa"]
    kernels: Choice
    compile: bool | Literal["auto"]
    deterministic: bool

    def open(self) -> Backend:
        """Raises UserError for an implementation that is not installed, or does not work on this machine."""
        device = pick_device(self.device, self.threads)
        names = {
            "attention": choose_attention(self.attention, device),
            "kernels": choose_kernels(self.kernels, device),
        }
        return open_backend(**(asdict(self) | names))


def choose_kernels(name: Choice, device: torch.device) -> str:
    """The kernels to use on a device; for `auto` the fastest that work there.

    Raises UserError if kernels other than the plain ones are requested and cannot work.
    """
    if name == "auto":
        working = (candidate for candidate in FASTEST_FIRST if device.type == "cuda" and not missing(candidate))
        return next(working, "plain")
    if name != "plain" and (reason := missing(name) if device.type == "cuda" else "needs a GPU"):
        raise UserError(f"compute.kernels={name} {reason}; use compute.kernels=auto")
    return name


@cache
def missing(name: Choice) -> str | None:
    """Why fused kernels cannot work on this machine; None if they can."""
    if find_spec("triton") is None:
        return "needs the package triton"
    capability = torch.cuda.get_device_capability()
    if capability < (8, 0):
        return "needs a GPU of at least compute capability 8.0"
    if name == "quack":
        if capability != (9, 0):
            return "needs a Hopper GPU"
        try:
            import_module(kernels_module(name))
        except Exception as error:  # CUTLASS may raise anything on a machine that it does not support
            return f"is not installed ({error}): pip install 'golf[hopper]'"
    return None
