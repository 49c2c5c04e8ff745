"""Where tensors live and in which precision layers compute."""

import resource

import torch

from golf.errors import UserError, require


def pick_device(name: str, threads: int | None) -> torch.device:
    """`auto` is CUDA where there is a GPU; raises UserError if `cuda` is asked for and there is none.

    `threads` limits the CPU threads of this process.
    """
    if threads is not None:
        require(threads > 0, f"threads={threads} must be at least 1")
        torch.set_num_threads(threads)
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("device=cuda, but PyTorch sees no CUDA device; use device=cpu or device=auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


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
