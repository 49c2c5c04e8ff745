"""What every codec offers."""

from typing import Protocol

from golf.errors import UserError


class CodecError(UserError):
    """Bytes that a codec cannot decode to what they were said to hold."""


class Codec(Protocol):
    """Lossless: `decode(encode(data), len(data)) == data`."""

    def encode(self, data: bytes) -> bytes:
        """Compress `data`."""

    def decode(self, data: bytes, raw_bytes: int) -> bytes:
        """The `raw_bytes` bytes that `data` encodes.

        Stops as soon as there are more, so that a few hostile bytes cannot fill the memory. Raises CodecError if
        `data` is damaged, cut short, followed by anything, or decodes to another length.
        """
