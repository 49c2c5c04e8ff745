"""The residual stream between two branches: sum, gated skip, mix with the first state, norm (spec: Model 2 and 5)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from golf.kernels.norm import norm


class Skip(NamedTuple):
    """An encoder's `state` (batch, length, width), None for the stream's own sum; its weight (width,); and its gate or
    None."""

    state: Tensor | None
    weight: Tensor
    gate: Tensor | None


class Residual(NamedTuple):
    """total: the sum of the terms, None if not requested; x: the stream after skip and mix; normed: its norm times the
    scale, twice, so that a kernel can sum the gradients of both uses; x0: the first state, for its next use. All are
    (batch, length, width)."""

    total: Tensor | None
    x: Tensor
    normed: Tensor
    again: Tensor
    x0: Tensor | None


def residual(
    terms: Sequence[Tensor],
    scale: float,
    mix: Tensor | None = None,
    x0: Tensor | None = None,
    skip: Skip | None = None,
    want_total: bool = False,
) -> Residual:
    """Sum `terms`, each (batch, length, width); add the skip; x = mix[0]·sum + mix[1]·x0 with mix (2, width); norm.

    The first state is passed through, so that a kernel can accumulate its gradient. x0 None with a mix: the sum itself
    is the first state.
    """
    total = x = sum(terms[1:], terms[0])
    if skip is not None:
        state = skip.weight.to(x.dtype) * (x if skip.state is None else skip.state)
        x = x + state if skip.gate is None else torch.lerp(state, x, torch.sigmoid(skip.gate.to(x.dtype)))
    if mix is not None:
        x0 = total if x0 is None else x0
        mix = mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
    normed = norm(x) * scale
    return Residual(total if want_total else None, x, normed, normed, x0)
