"""Round to nearest: the baseline of GPTQ."""

from torch import Tensor

from golf.kernels.interface import Kernels
from golf.kernels.rounding import round_to_codes
from golf.quantizer.quantizer import SDClipQuantizer


class RoundToNearest(SDClipQuantizer):
    def codes(self, weight: Tensor, scale: Tensor, bits: int, hessian: Tensor | None, kernels: Kernels) -> Tensor:
        return round_to_codes(weight, scale[:, None], bits)
