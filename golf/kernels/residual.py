"""The residual stream between two branches: sum, gated skip, mix with the first state, norm (spec: Model 2 and 5)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from golf.kernels.norm import norm


class Skip(NamedTuple):
    """An encoder's `state` (batch, length, width), met by the weight (width,) and, unless it is None, the gate. State
    None: the stream's own sum."""

    state: Tensor | None
    weight: Tensor
    gate: Tensor | None


class Residual(NamedTuple):
    """total: the sum of the terms, None if it was not asked for; x: the stream after skip and mix; normed: its norm
    times the scale, and again, for a second use: a kernel adds up both gradients on the way; x0: the first state, for
    whoever needs it next. All (batch, length, width)."""

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
    """Add up `terms`, each (batch, length, width); take in a skip; x = mix[0]·sum + mix[1]·x0, mix (2, width); norm.

    The first state goes through: with a kernel its gradient is then gathered on the way, not added up at the end. None
    with a mix says that this is the first: the sum.
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
