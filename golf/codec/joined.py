"""Codecs of bytes: the arrays of a section, joined, are one string."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from golf.codec.base import CodecError, Form


class JoinedCodec(ABC):
    """A codec of the joined bytes of all arrays; subclasses compress those."""

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
        """The `raw_bytes` bytes that `data` encodes; stops as soon as there are more."""
