"""Byte shuffle (spec: Quantization): the bytes of even index first, then the odd ones.

Grouping the high bytes of float16 values makes them compress better. The result starts with the magic
`BSHF` and one byte with the stride, 2.
"""

import numpy as np

from golf.codec.base import CodecError

HEADER = b"BSHF\x02"


def shuffle(data: bytes) -> bytes:
    """`data` shuffled, `len(HEADER)` bytes longer."""
    values = np.frombuffer(data, np.uint8)
    return HEADER + values[0::2].tobytes() + values[1::2].tobytes()


def unshuffle(data: bytes) -> bytes:
    """The inverse of `shuffle`; raises CodecError if `data` does not start with its header."""
    if not data.startswith(HEADER):
        raise CodecError("byte shuffle: the BSHF header is missing")
    shuffled = np.frombuffer(data, np.uint8, offset=len(HEADER))
    values = np.empty_like(shuffled)
    evens = (len(values) + 1) // 2
    values[0::2] = shuffled[:evens]
    values[1::2] = shuffled[evens:]
    return values.tobytes()
