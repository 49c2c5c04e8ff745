"""Finds the first number that is not finite, and ends the job before anything is made of it."""

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from golf.errors import Diverged

LOSS = "the loss"
TRAINED_TOO_FAST = "lower the optimizer's rates"  # what to do about weights that came out of training


def require_finite(tensors: Mapping[str, Tensor], remedy: str) -> None:
    """Raise Diverged, with the name of the first bad tensor and what to do, unless all are finite (see Norms)."""
    if (bad := Norms(tensors).first_bad()) is not None:
        raise Diverged(f"{bad}; {remedy}")


class Norms:
    """The norms of tensors by name, and a loss; from a GPU they come while the host goes on.

    A norm that is not finite tells of a tensor with such a number, or with numbers too large to go on with.
    """

    @torch.no_grad()
    def __init__(self, tensors: Mapping[str, Tensor], loss: Tensor | None = None):
        by_type: dict[torch.dtype, dict[str, Tensor]] = defaultdict(dict)  # one kernel takes what has one type
        for name, tensor in tensors.items():
            by_type[tensor.dtype][name] = tensor
        norms: dict[str, Tensor] = {}
        for group in by_type.values():  # in float32: float16's own norms overflow
            found = torch._foreach_norm(list(group.values()), dtype=torch.float32)
            norms |= dict(zip(group, found, strict=True))
        norms = {name: norms[name] for name in tensors} | ({} if loss is None else {LOSS: loss.float()})
        self.names = list(norms)
        self.numbers = torch.stack(list(norms.values()))
        self._copied: torch.cuda.Event | None = None
        if self.numbers.is_cuda:
            here = torch.empty_like(self.numbers, device="cpu", pin_memory=True)
            self.numbers = here.copy_(self.numbers, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def is_on_its_way(self) -> bool:
        return self._copied is not None

    def first_bad(self) -> str | None:
        """The first tensor, or else the loss, that is not finite, and the loss; None if all are."""
        if self._copied is not None:
            self._copied.synchronize()
        bad = [
            name for name, number in zip(self.names, self.numbers.tolist(), strict=True) if not math.isfinite(number)
        ]
        if not bad:
            return None
        if self.names[-1] != LOSS:
            return f"{bad[0]} is not finite"
        loss = self.numbers[-1].item()
        return f"the loss is {loss}" if bad[0] == LOSS else f"{bad[0]} is not finite, the loss is {loss}"
