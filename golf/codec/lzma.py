"""LZMA2 in the xz format, from the standard library."""

import lzma

from golf.codec.base import CodecError
from golf.codec.joined import JoinedCodec
from golf.codec.shuffle import HEADER, shuffle, unshuffle
from golf.errors import require

DECODER_MEMORY = 1 << 27  # bytes; preset 9 needs 65 MiB, a hostile stream may ask for 4 GiB


class Lzma(JoinedCodec):
    """LZMA after an optional byte shuffle.

    preset: 0 (fast) to 9 (small), always in its "extreme" variant. Raises UserError for other values.
    """

    def __init__(self, *, preset: int, byte_shuffle: bool):
        require(type(preset) is int and 0 <= preset <= 9, f"codec.preset: lzma takes 0 to 9, not {preset}")
        require(type(byte_shuffle) is bool, f"codec.byte_shuffle: is true or false, not {byte_shuffle}")
        self.preset = preset
        self.byte_shuffle = byte_shuffle

    def compress(self, data: bytes) -> bytes:
        # No checksum: each section of an artifact has its SHA-256.
        return lzma.compress(
            shuffle(data) if self.byte_shuffle else data,
            check=lzma.CHECK_NONE,
            preset=self.preset | lzma.PRESET_EXTREME,
        )

    def decompress(self, data: bytes, raw_bytes: int) -> bytes:
        if self.byte_shuffle:
            return unshuffle(_decompress(data, raw_bytes + len(HEADER)))
        return _decompress(data, raw_bytes)


def _decompress(data: bytes, raw_bytes: int) -> bytes:
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_MEMORY)
    try:
        raw = decompressor.decompress(data, max_length=raw_bytes + 1)  # one more byte reveals surplus data
    except lzma.LZMAError as error:
        raise CodecError(f"lzma: damaged ({error})") from error
    if len(raw) > raw_bytes:
        raise CodecError(f"lzma: more than the expected {raw_bytes} bytes")
    if len(raw) < raw_bytes or not decompressor.eof:
        raise CodecError(f"lzma: ends after {len(raw)} of {raw_bytes} bytes")
    if decompressor.unused_data:
        raise CodecError("lzma: bytes follow its end")
    return raw
