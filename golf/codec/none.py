"""No compression: what a codec is measured against."""

from golf.codec.base import CodecError


class NoCodec:
    """Bytes as they are."""

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, data: bytes, raw_bytes: int) -> bytes:
        if len(data) != raw_bytes:
            raise CodecError(f"none: {len(data)} bytes where {raw_bytes} were expected")
        return data
