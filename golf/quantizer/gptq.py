"""Full-Hessian GPTQ (arXiv:2210.17323) with row scales from the standard deviation (spec: Quantization)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from golf.data.loader import Loader
from golf.errors import Diverged, require
from golf.events import Listener
from golf.io.artifact import State
from golf.kernels.interface import Kernels
from golf.model.gpt import GPT
from golf.quantizer.hessian import collect_hessians
from golf.quantizer.quantizer import SDClipQuantizer
from golf.runtime import dist
from golf.runtime.finite import TRAINED_TOO_FAST


@dataclass(kw_only=True)
class GPTQ(SDClipQuantizer):
    calibration_batches: int
    calibration_tokens: int
    block_size: int
    damping: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._damping_of: dict[int, float] = {}  # by the id of the Hessian, which several weights may share
        for name in ("calibration_batches", "calibration_tokens", "block_size"):
            value = getattr(self, name)
            require(value > 0, f"quantizer.{name}={value} must be at least 1")
        ranks = dist.world_size()
        require(
            self.calibration_batches >= ranks,
            f"quantizer.calibration_batches={self.calibration_batches}: fewer than {ranks} processes; "
            f"set quantizer.calibration_batches={ranks}",
        )
        require(self.damping > 0, f"quantizer.damping={self.damping} must be above 0")

    def check(self, seq_len: int) -> None:
        tokens = self.calibration_tokens
        require(tokens >= seq_len, f"quantizer.calibration_tokens={tokens} is below model.seq_len={seq_len}")

    def calibrate(self, model: GPT, loader: Loader, events: Listener) -> dict[str, Tensor]:
        """Raises UserError if a layer to quantize received no calibration data."""
        hessians = collect_hessians(model, loader, self.calibration_batches, self.calibration_tokens, events)
        for name, layer in self.layers(model).items():
            require(
                name in hessians,
                f"{name}: received no calibration data, which GPTQ needs; choose quantizer=rtn, or keep it in float16 "
                f"with quantizer.min_elements={layer.weight.numel()}",
            )
        return hessians

    def encode(self, model: GPT, hessians: Mapping[str, Tensor], events: Listener) -> State:
        self._damping_of.clear()
        state = super().encode(model, hessians, events)
        taken = {name: self._damping_of.get(id(hessians[name]), self.damping) for name in self.layers(model)}
        raised = {name: damping for name, damping in taken.items() if damping > self.damping}
        self.raised_damping = {
            name: damping for part in dist.all_gather_object(raised) for name, damping in part.items()
        }
        return state

    def codes(self, weight: Tensor, scale: Tensor, bits: int, hessian: Tensor | None, kernels: Kernels) -> Tensor:
        assert hessian is not None  # see calibrate
        codes, self._damping_of[id(hessian)] = gptq_codes(
            weight, hessian, scale, bits, self.block_size, self.damping, kernels
        )
        return codes


def gptq_codes(
    weight: Tensor,
    hessian: Tensor,
    scale: Tensor,
    bits: int,
    block_size: int,
    damping: float,
    kernels: Kernels,
) -> tuple[Tensor, float]:
    """Codes (float32, rows × cols) that keep (W−Ŵ)H(W−Ŵ)ᵀ small by propagating each column's error to the next ones;
    and the damping used.

    weight is (rows, cols), hessian (cols, cols), scale (rows,). Columns without input have a zero diagonal; their codes
    are 0. Columns are processed by descending diagonal, in blocks, so that the propagation is a matrix product. Raises
    Diverged.
    """
    order, upper, damping = factorise(hessian, damping)
    w = torch.where(hessian.diagonal() == 0, 0, weight)[:, order]
    codes = torch.empty_like(w)
    for start in range(0, w.size(1), block_size):
        end = min(start + block_size, w.size(1))
        factor = upper[start:end, start:end]
        codes[:, start:end], errors = kernels.gptq_block(w[:, start:end], scale, factor, bits)
        w[:, end:] -= errors @ upper[start:end, end:]
    return codes[:, order.argsort()], damping


def factorise(hessian: Tensor, damping: float) -> tuple[Tensor, Tensor, float]:
    """The order of descending diagonal (cols,); in this order the upper Cholesky factor (cols, cols) of the inverse of
    the Hessian plus `damping` times its mean diagonal; and the damping, raised tenfold until the factor exists.

    Raises Diverged if even more than the mean diagonal is not enough, as when the inverse overflows.
    """
    power = 0
    while True:
        raised = damping * 10**power
        h = hessian.clone()
        diagonal = h.diagonal()
        diagonal[diagonal == 0] = 1
        diagonal += raised * diagonal.mean()
        order = diagonal.argsort(descending=True)
        lower, failed = torch.linalg.cholesky_ex(h[order][:, order])
        if not failed:
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
        if not failed and upper.isfinite().all():
            return order, upper, raised
        if raised > 1:
            raise Diverged(f"its Hessian cannot be factorised with a damping of {raised:g}; {TRAINED_TOO_FAST}")
        power += 1
