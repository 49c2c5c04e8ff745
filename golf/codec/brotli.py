"""Brotli, the record's codec (RFC 7932; spec: Quantization)."""

from io import BytesIO

import brotli

from golf.codec.base import CodecError
from golf.codec.joined import JoinedCodec
from golf.codec.shuffle import HEADER, shuffle, unshuffle
from golf.errors import require

STEP = 1 << 20  # small: the decoder overshoots its output limit by up to a block, and blocks grow


class Brotli(JoinedCodec):
    """Brotli after an optional byte shuffle.

    quality: 0 (fast) to 11 (small). lgwin: log2 of the window in bytes, 10 to 24. Raises UserError for other values.
    """

    def __init__(self, *, quality: int, lgwin: int, byte_shuffle: bool):
        require(type(quality) is int and 0 <= quality <= 11, f"codec.quality: brotli takes 0 to 11, not {quality}")
        require(type(lgwin) is int and 10 <= lgwin <= 24, f"codec.lgwin: brotli takes 10 to 24, not {lgwin}")
        require(type(byte_shuffle) is bool, f"codec.byte_shuffle: is true or false, not {byte_shuffle}")
        self.quality = quality
        self.lgwin = lgwin
        self.byte_shuffle = byte_shuffle

    def compress(self, data: bytes) -> bytes:
        data = shuffle(data) if self.byte_shuffle else data
        return bytes(brotli.compress(data, quality=self.quality, lgwin=self.lgwin))

    def decompress(self, data: bytes, raw_bytes: int) -> bytes:
        if self.byte_shuffle:
            return unshuffle(_decompress(data, raw_bytes + len(HEADER)))
        return _decompress(data, raw_bytes)


def _decompress(data: bytes, raw_bytes: int) -> bytes:
    decompressor = brotli.Decompressor()
    raw, start = BytesIO(), 0
    try:
        while not decompressor.is_finished() and raw.tell() <= raw_bytes:
            taken = data[start : start + STEP] if decompressor.can_accept_more_data() else b""
            given = decompressor.process(taken, output_buffer_limit=STEP)
            if not taken and not given:
                break
            start += len(taken)
            raw.write(given)
    except brotli.error as error:
        raise CodecError(f"brotli: damaged ({error})") from error
    if raw.tell() > raw_bytes:
        raise CodecError(f"brotli: more than the expected {raw_bytes} bytes")
    if raw.tell() < raw_bytes or not decompressor.is_finished():
        raise CodecError(f"brotli: ends after {raw.tell()} of {raw_bytes} bytes")
    if start < len(data):
        raise CodecError("brotli: bytes follow its end")
    return raw.getvalue()
