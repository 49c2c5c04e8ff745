"""Where tensors live and in which precision layers compute."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from golf.errors import UserError, require
from golf.runtime import dist

ALL_THREADS = torch.get_num_threads()  # what PyTorch takes by itself: one for each core, or OMP_NUM_THREADS


def pick_device(name: str, threads: int | None) -> torch.device:
    """The device of this rank. `auto` is CUDA where there is a GPU; `threads` limits the CPU threads of this process.

    Raises UserError if `cuda` is asked for and there is none, or fewer than ranks on this host.
    """
    require(threads is None or threads > 0, f"compute.threads={threads} must be at least 1, or null")
    torch.set_num_threads(threads or max(ALL_THREADS // dist.local_world_size(), 1))
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and not gpus:
        raise UserError("compute.device=cuda, but PyTorch sees no CUDA device; use compute.device=auto")
    if name == "cpu" or not gpus:
        return torch.device("cpu")
    ranks = dist.local_world_size()
    require(ranks <= gpus, f"{ranks} processes on this host, but it has {gpus} GPU(s): lower launch.nproc_per_node")
    return torch.device("cuda", dist.local_rank())


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on the device. To a GPU it goes from pinned memory: the host does not wait for what the GPU has to do
    before."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, PyTorch takes deterministic kernels; cuBLAS does from its first use in the process on."""
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` count from here, where the device can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Most bytes allocated on the GPU since the reset; on the CPU, the process's largest resident size so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 autocast on a GPU; plain float32 on the CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
