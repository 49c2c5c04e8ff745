"""No compression: the baseline of codecs."""

from golf.codec.base import CodecError
from golf.codec.joined import JoinedCodec


class NoCodec(JoinedCodec):
    """Stores the bytes unchanged."""

    def compress(self, data: bytes) -> bytes:
        return data

    def decompress(self, data: bytes, raw_bytes: int) -> bytes:
        if len(data) != raw_bytes:
            raise CodecError(f"none: {len(data)} bytes where {raw_bytes} were expected")
        return data
