"""What every codec offers."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from golf.errors import UserError


class CodecError(UserError):
    """Bytes that a codec cannot decode to what they were said to hold."""


class Form(NamedTuple):
    """What is known of an array before it is decoded: dtype as numpy spells it, with its byte order, and shape."""

    dtype: str
    shape: tuple[int, ...]


class Codec(Protocol):
    """Lossless: `decode(encode(arrays), forms)` gives the arrays back, if `forms` are theirs."""

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        """Compress the arrays, all of one dtype, together."""

    def decode(self, data: bytes, forms: Sequence[Form]) -> list[np.ndarray]:
        """The arrays that `data` encodes, which may be read-only.

        Takes memory in proportion to what the forms say and no more, so that a few hostile bytes cannot fill it. Raises
        CodecError if `data` is damaged, cut short, followed by anything, or decodes to another length.
        """
