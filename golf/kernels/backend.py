"""The device and the implementations of attention and kernels, by name."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import cast

import torch

from golf.kernels import plain
from golf.kernels.attention import Attend, load_attention, own_module, sdpa
from golf.kernels.interface import Kernels
from golf.runtime.device import deterministic, pick_device


@dataclass(frozen=True)
class Backend:
    """`compile`: torch.compile compiles the model in training. `deterministic`: training prefers operations that are
    reproducible from run to run. `names`: of the implementations `attend` (attention) and `kernels`."""

    device: torch.device
    attend: Attend
    kernels: Kernels
    names: Mapping[str, str]
    compile: bool
    deterministic: bool

    def determinism(self) -> AbstractContextManager[None]:
        """Context manager around training."""
        return deterministic() if self.deterministic else nullcontext()


def functions_of(module: Kernels) -> Kernels:
    """The public names of a module of kernels: a model that held the module itself could not be copied."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return cast(Kernels, SimpleNamespace(**public))


PLAIN = Backend(torch.device("cpu"), sdpa, functions_of(plain), {}, compile=False, deterministic=False)


def open_backend(
    *, device: str, threads: int | None, attention: str, kernels: str, compile: bool | str, deterministic: bool
) -> Backend:
    """The backend of the named implementations; the parameters are those of golf.kernels.compute.Compute.

    Raises UserError if the device or the attention does not work on this machine.
    """
    where = pick_device(device, threads)
    functions = functions_of(import_module(kernels_module(kernels)))
    wanted = where.type == "cuda" if compile == "auto" else bool(compile)
    names = {"attention": attention, "kernels": kernels}
    return Backend(
        where, load_attention(attention, where), functions, names, wanted and functions.COMPILED, deterministic
    )


def kernels_module(name: str) -> str:
    return f"golf.kernels.{name}"


def own_modules(names: Mapping[str, str]) -> set[str]:
    """The golf modules of `attention` and `kernels`. They are imported by name, invisible to source analysis."""
    return own_module(names["attention"]) | {kernels_module(names["kernels"])}
