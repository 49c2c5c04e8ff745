"""The interface of codecs."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from golf.errors import UserError


class CodecError(UserError):
    """The bytes cannot be decoded to the expected forms."""


class Form(NamedTuple):
    """Dtype (numpy's `dtype.str`, with byte order) and shape of an array."""

    dtype: str
    shape: tuple[int, ...]


class Codec(Protocol):
    """Lossless: `decode(encode(arrays), forms)` returns equal arrays if `forms` are theirs."""

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        """Compress arrays of one dtype together."""

    def decode(self, data: bytes, forms: Sequence[Form]) -> list[np.ndarray]:
        """The arrays that `data` encodes; they may be read-only.

        Memory is bounded by the size of `forms`, so that hostile bytes cannot exhaust it. Raises CodecError if `data`
        is damaged, truncated, followed by other bytes, or decodes to another length.
        """
