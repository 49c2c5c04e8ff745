"""The ranks of one job: torch.distributed where a launcher started several processes, nothing where there is one.

With one process every function here is the identity, so the code that trains and scores is the same for any number of
ranks. Tensors travel by NCCL on GPUs and by gloo on the CPU; what the host decides travels by gloo.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor

# A rank that dies ends the job through its launcher, not through a timeout; and rank 0 may compress for minutes.
TIMEOUT = timedelta(hours=2)


def start(**meeting: Any) -> None:
    """Join the other ranks, found by the variables that torchrun sets (RANK, WORLD_SIZE, MASTER_ADDR, …).

    meeting: store, rank and world_size, where this rank has found the others already.
    """
    gpus = torch.cuda.device_count() if dist.is_nccl_available() else 0
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    if local_rank() < gpus:  # with more ranks than GPUs, all must be meant for the CPU
        torch.cuda.set_device(local_rank())
    dist.init_process_group(backend, timeout=TIMEOUT, **meeting)


def stop() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End this process. Python's own end is now and then aborted by what threads are left of the connections."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is rank 0, which writes the files and decides what only one may decide."""
    return rank() == 0


def local_rank() -> int:
    """The number of this rank among those of its host; it uses the host's GPU of that number."""
    return int(os.environ.get("LOCAL_RANK", 0)) if "RANK" in os.environ else 0


def local_world_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def share(count: int) -> slice:
    """This rank's part of `count` things; the parts lie in the order of ranks and differ by one at most."""
    return slice(count * rank() // world_size(), count * (rank() + 1) // world_size())


def all_reduce_sum(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over the ranks, in one reduction for each type."""
    if world_size() == 1:
        return
    by_type: dict[torch.dtype, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        by_type[tensor.dtype].append(tensor)
    for group in by_type.values():
        flat = torch.cat([tensor.flatten() for tensor in group])
        dist.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in group])
        torch._foreach_copy_(group, [part.view_as(tensor) for part, tensor in zip(parts, group, strict=True)])


def all_gather(part: Tensor) -> Tensor:
    """The parts (n, …) of all ranks in their order, (ranks · n, …); all of one shape."""
    if world_size() == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(world_size())]
    dist.all_gather(parts, part.contiguous())
    return torch.cat(parts)


def all_gather_object(part: Any) -> list[Any]:
    """What each rank gave, in the order of ranks; tensors in it lie on the CPU."""
    parts = [part] * world_size()
    if world_size() > 1:
        dist.all_gather_object(parts, part)
    return parts


def broadcast_object(value: Any) -> Any:
    """Rank 0's value, on every rank."""
    said = [value]
    if world_size() > 1:
        dist.broadcast_object_list(said, device=torch.device("cpu"))
    return said[0]


def broadcast_scalar(number: float) -> float:
    """Rank 0's number, on every rank: `broadcast_object` for what is asked at every step."""
    if world_size() == 1:
        return number
    read = torch.tensor(number, dtype=torch.float64)
    dist.broadcast(read, 0)
    return read.item()


def all_reduce_max(*numbers: float) -> list[float]:
    """Of each number the largest of all ranks, on every rank; on the host, as `broadcast_scalar`."""
    if world_size() == 1:
        return list(numbers)
    read = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(read, dist.ReduceOp.MAX)
    return read.tolist()


def barrier() -> None:
    """Wait until every rank is here. On the host: GPUs may still be at work."""
    if world_size() > 1:
        dist.all_reduce(torch.zeros(1))
