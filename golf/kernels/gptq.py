"""The inner loop of GPTQ: a block of columns, one after the other (spec: Quantization)."""

import torch
from torch import Tensor

from golf.kernels.rounding import round_to_codes


def gptq_block(weight: Tensor, scale: Tensor, factor: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Codes of weight (rows, columns) and the errors to propagate to later columns, both float32 of its shape.

    scale: (rows,); factor: the upper triangle (columns, columns) that distributes each column's error.
    """
    weight = weight.clone()
    codes, errors = torch.empty_like(weight), torch.empty_like(weight)
    for j in range(weight.size(1)):
        column = weight[:, j]
        codes[:, j] = round_to_codes(column, scale, bits)
        errors[:, j] = (column - codes[:, j] * scale) / factor[j, j]
        weight[:, j:] -= torch.outer(errors[:, j], factor[j, j:])
    return codes, errors
