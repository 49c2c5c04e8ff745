"""Codecs of bytes: the arrays of a section are joined to one string."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from golf.codec.base import CodecError, Form


class JoinedCodec(ABC):
    """Joins the bytes of all arrays; subclasses compress the result."""

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        return self.compress(b"".join(array.tobytes() for array in arrays))

    def decode(self, data: bytes, forms: Sequence[Form]) -> list[np.ndarray]:
        sizes = [math.prod(form.shape) * np.dtype(form.dtype).itemsize for form in forms]
        raw, start, arrays = memoryview(self.decompress(data, sum(sizes))), 0, []
        if len(raw) != sum(sizes):
            raise CodecError(f"decodes to {len(raw)} bytes where {sum(sizes)} were expected")
        for form, size in zip(forms, sizes, strict=True):
            arrays.append(np.frombuffer(raw[start : start + size], form.dtype).reshape(form.shape))
            start += size
        return arrays

    @abstractmethod
    def compress(self, data: bytes) -> bytes:
        """Compress `data`."""

    @abstractmethod
    def decompress(self, data: bytes, raw_bytes: int) -> bytes:
        """Decode `data` to exactly `raw_bytes` bytes; stops as soon as there are more. Raises CodecError."""
