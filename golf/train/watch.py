"""Finds the first number that is not finite, and ends the job before anything is made of it."""

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from golf.errors import Diverged

LOSS = "the loss"


class Unwatched:
    """For steps that are undone: nothing is looked at."""

    def look_at(self, step: int, loss: Tensor | None = None) -> None:
        """Call in each step, on every rank, before the gradients are clipped. Raises Diverged."""

    def require_finite(self, step: int) -> None:
        """Call before something is made of the weights that `step` left. Raises Diverged."""


class Watch(Unwatched):
    """Looks at the weights that are trained, at their gradients and at the loss, in every step.

    A norm that is not finite tells of a tensor with such a number, or with numbers too large to go on with. No step
    waits for a GPU: what it computed is looked at in the step after. `what` names a step, `remedy` is for the user.
    """

    def __init__(self, model: nn.Module, what: str, remedy: str):
        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.what = what
        self.remedy = remedy
        self._pending: _Numbers | None = None

    def look_at(self, step: int, loss: Tensor | None = None) -> None:
        self._judge()
        weights = {f"the weight {name} before it": parameter for name, parameter in self.trained.items()}
        gradients = {
            f"the gradient of {name}": parameter.grad
            for name, parameter in self.trained.items()
            if parameter.grad is not None
        }
        self._pending = _Numbers(step, weights | gradients, loss)
        if not self._pending.is_on_its_way():
            self._judge()

    def require_finite(self, step: int) -> None:
        self._judge()
        after = {f"the weight {name} after it": parameter for name, parameter in self.trained.items()}
        self._pending = _Numbers(step, after)
        self._judge()

    def _judge(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None and (bad := pending.first_bad()) is not None:
            raise Diverged(f"{self.what} {pending.step}: {bad}; {self.remedy}")


class _Numbers:
    """The norms of a step's tensors, and its loss; from a GPU they come while the host goes on."""

    @torch.no_grad()
    def __init__(self, step: int, tensors: Mapping[str, Tensor], loss: Tensor | None = None):
        self.step = step
        by_type: dict[torch.dtype, dict[str, Tensor]] = defaultdict(dict)  # one kernel takes what has one type
        for name, tensor in tensors.items():
            by_type[tensor.dtype][name] = tensor
        norms: dict[str, Tensor] = {}
        for group in by_type.values():
            norms |= dict(zip(group, torch._foreach_norm(list(group.values())), strict=True))
        norms = {name: norms[name] for name in tensors} | ({} if loss is None else {LOSS: loss})
        self.names = list(norms)
        self.numbers = torch.stack([number.float() for number in norms.values()])
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
