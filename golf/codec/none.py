"""No compression: what a codec is measured against."""

from golf.codec.base import CodecError
from golf.codec.joined import JoinedCodec


class NoCodec(JoinedCodec):
    """Bytes as they are."""

    def compress(self, data: bytes) -> bytes:
        return data

    def decompress(self, data: bytes, raw_bytes: int) -> bytes:
        if len(data) != raw_bytes:
            raise CodecError(f"none: {len(data)} bytes where {raw_bytes} were expected")
        return data
