"""What every quantizer shares: which tensors get codes, their widths and their row scales (spec: Quantization)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from golf import dist
from golf.artifact import Quantized, State
from golf.data.loader import Loader
from golf.errors import require
from golf.events import Listener
from golf.model.gpt import GPT


def row_scales(weight: Tensor, bits: int, clip: float) -> Tensor:
    """float16 step size of each row of weight (rows, cols): `clip` sample standard deviations fill the range."""
    return (clip * weight.float().std(dim=1) / largest_code(bits)).half()


def largest_code(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def round_to_codes(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Nearest codes (float32, same shape as weight) at steps `scale`, which broadcasts; 0 where the scale is 0."""
    limit = largest_code(bits)
    step = torch.where(scale > 0, scale, torch.inf)
    return (weight / step).round().clamp(-limit, limit)


def float16_state(model: GPT) -> State:
    """Every tensor of the model's state as float16, on the CPU."""
    return {name: tensor.half().cpu() for name, tensor in model.state_dict().items()}


class Quantizer(ABC):
    """A quantizer turns a model into the tensors of an artifact."""

    def check(self, seq_len: int) -> None:  # noqa: B027 — not every quantizer reads data
        """Raise UserError if the quantizer cannot take sequences of that many tokens."""

    @abstractmethod
    def quantize(self, model: GPT, loader: Loader, events: Listener) -> State:
        """Every tensor of the model's state: codes with row scales, or float16.

        `loader` yields training sequences for calibration, from the first one on.
        """


@dataclass(kw_only=True)
class SDClipQuantizer(Quantizer):
    """Codes for linear layers and embeddings of more than `min_elements`, clipped at a number of standard deviations.

    Subclasses choose the codes.
    """

    min_elements: int
    matrix_bits: int
    matrix_clip: float
    embed_bits: int
    embed_clip: float

    def __post_init__(self) -> None:
        require(self.min_elements >= 0, f"quantizer.min_elements={self.min_elements} must not be negative")
        for part, bits, clip in (
            ("matrix", self.matrix_bits, self.matrix_clip),
            ("embed", self.embed_bits, self.embed_clip),
        ):
            require(2 <= bits <= 8, f"quantizer.{part}_bits={bits} must lie between 2 and 8")
            require(clip > 0, f"quantizer.{part}_clip={clip} must be above 0")

    def quantize(self, model: GPT, loader: Loader, events: Listener) -> State:
        state, layers = float16_state(model), self.layers(model)
        hessians = self.calibrate(model, loader, events)
        mine: State = {}
        for done, (name, layer) in list(enumerate(layers.items(), start=1))[dist.rank() :: dist.world_size()]:
            matrix = isinstance(layer, nn.Linear)
            bits, clip = (self.matrix_bits, self.matrix_clip) if matrix else (self.embed_bits, self.embed_clip)
            weight = layer.weight.detach().float()
            scale = row_scales(weight, bits, clip)
            codes = self.codes(weight, scale.float(), bits, hessians.get(name))
            mine[name] = Quantized(codes.to(torch.int8).cpu(), scale.cpu(), bits)
            events.progress("quantize", done, len(layers))
        for part in dist.gather_objects(mine):
            state |= part
        return state

    def layers(self, model: GPT) -> dict[str, nn.Linear | nn.Embedding]:
        """The layers that get codes, by the name of their weight."""
        return {
            f"{name}.weight": module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Embedding) and module.weight.numel() > self.min_elements
        }

    def calibrate(self, model: GPT, loader: Loader, events: Listener) -> dict[str, Tensor]:
        """Hessians (cols, cols) by tensor name, for quantizers that use them."""
        return {}

    @abstractmethod
    def codes(self, weight: Tensor, scale: Tensor, bits: int, hessian: Tensor | None) -> Tensor:
        """Integer codes of weight (rows, cols) at row steps scale (rows,)."""
