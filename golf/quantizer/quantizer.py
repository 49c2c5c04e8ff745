"""Base of the quantizers: the tensors that get codes, their widths and row scales (spec: Quantization)."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from golf.data.loader import Loader
from golf.errors import Diverged, require
from golf.events import Listener
from golf.io.artifact import Quantized, State
from golf.kernels.interface import Kernels
from golf.kernels.rounding import largest_code
from golf.model.gpt import GPT
from golf.runtime import dist
from golf.runtime.finite import TRAINED_TOO_FAST, require_finite


def row_scales(weight: Tensor, bits: int, clip: float) -> Tensor:
    """float16 step size of each row of weight (rows, cols): `clip` sample standard deviations fill the range."""
    return (clip * weight.float().std(dim=1) / largest_code(bits)).half()


def float16_state(model: GPT) -> State:
    """Every tensor of the model's state as float16, on the CPU."""
    return {name: tensor.half().cpu() for name, tensor in model.state_dict().items()}


class Quantizer(ABC):
    """A quantizer turns a model into the tensors of an artifact.

    raised_damping: by tensor, if the last `quantize` used more than the configured damping.
    """

    raised_damping: dict[str, float] = {}  # noqa: RUF012 — replaced, never changed

    def check(self, seq_len: int) -> None:  # noqa: B027 — not every quantizer reads data
        """Raise UserError if the quantizer cannot calibrate on sequences of `seq_len` tokens."""

    def is_to_fit(self) -> bool:
        """Whether to scale the clips so that the artifact just fits; only SDClipQuantizer has clips."""
        return False

    @abstractmethod
    def quantize(self, model: GPT, loader: Loader, events: Listener) -> State:
        """Every tensor of the model's state: codes with row scales, or float16.

        `loader` yields training sequences for calibration, from the first one on.
        """


@dataclass(kw_only=True)
class SDClipQuantizer(Quantizer):
    """Codes for linear layers and embeddings of more than `min_elements`, clipped at a number of standard deviations.

    Subclasses choose the codes. With `fit_bytes` the stage scales the clips so that the artifact just fits the limit
    (golf.quantizer.fit).
    """

    min_elements: int
    matrix_bits: int
    matrix_clip: float
    embed_bits: int
    embed_clip: float
    fit_bytes: bool

    def __post_init__(self) -> None:
        require(self.min_elements >= 0, f"quantizer.min_elements={self.min_elements} must not be negative")
        for part, bits, clip in (
            ("matrix", self.matrix_bits, self.matrix_clip),
            ("embed", self.embed_bits, self.embed_clip),
        ):
            require(2 <= bits <= 8, f"quantizer.{part}_bits={bits} must lie between 2 and 8")
            require(clip > 0, f"quantizer.{part}_clip={clip} must be above 0")

    def is_to_fit(self) -> bool:
        return self.fit_bytes

    def quantize(self, model: GPT, loader: Loader, events: Listener) -> State:
        return self.encode(model, self.calibrate(model, loader, events), events)

    def encode(self, model: GPT, hessians: Mapping[str, Tensor], events: Listener) -> State:
        """`quantize` with the result of `calibrate`, which does not depend on the clips. Raises Diverged."""
        state, layers = float16_state(model), self.layers(model)
        mine: State = {}
        for done, (name, layer) in list(enumerate(layers.items(), start=1))[dist.rank() :: dist.world_size()]:
            bits, clip = self.width_of(layer)
            weight = layer.weight.detach().float()
            scale = row_scales(weight, bits, clip)
            require_finite({f"the float16 scale of {name}": scale}, TRAINED_TOO_FAST)
            try:
                codes = self.codes(weight, scale.float(), bits, hessians.get(name), model.kernels)
            except Diverged as error:
                raise Diverged(f"{name}: {error}") from error
            require_finite({f"the codes of {name}": codes}, TRAINED_TOO_FAST)
            mine[name] = Quantized(codes.to(torch.int8).cpu(), scale.cpu(), bits)
            events.progress("quantize", done, len(layers))
        for part in dist.all_gather_object(mine):
            state |= part
        return state

    def width_of(self, layer: nn.Linear | nn.Embedding) -> tuple[int, float]:
        """Bits and clip of the layer's codes."""
        if isinstance(layer, nn.Linear):
            return self.matrix_bits, self.matrix_clip
        return self.embed_bits, self.embed_clip

    def count_codes(self, model: GPT) -> Counter[tuple[int, float]]:
        """The number of codes of each width (bits, clip)."""
        counts: Counter[tuple[int, float]] = Counter()
        for layer in self.layers(model).values():
            counts[self.width_of(layer)] += layer.weight.numel()
        return counts

    def clips(self) -> dict[str, float]:
        """The clips by their configuration keys."""
        return {"matrix_clip": self.matrix_clip, "embed_clip": self.embed_clip}

    def scaled(self, factor: float) -> Self:
        """A copy with all clips times `factor`."""
        return replace(self, matrix_clip=factor * self.matrix_clip, embed_clip=factor * self.embed_clip)

    def layers(self, model: GPT) -> dict[str, nn.Linear | nn.Embedding]:
        """The layers to quantize, by the name of their weight."""
        return {
            f"{name}.weight": module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Embedding) and module.weight.numel() > self.min_elements
        }

    def calibrate(self, model: GPT, loader: Loader, events: Listener) -> dict[str, Tensor]:
        """Hessians (cols, cols) by tensor name, for quantizers that use them."""
        return {}

    @abstractmethod
    def codes(self, weight: Tensor, scale: Tensor, bits: int, hessian: Tensor | None, kernels: Kernels) -> Tensor:
        """Integer codes of weight (rows, cols) at row steps scale (rows,)."""
