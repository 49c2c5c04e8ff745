"""The global random generators of a process: PyTorch's, on the CPU and the GPU, NumPy's and Python's."""

import random
from typing import Any, cast

import numpy as np
import torch


def states() -> dict[str, Any]:
    """The states, of types that torch.load accepts with weights_only."""
    name, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None,
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
    }


def set_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"])
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])
