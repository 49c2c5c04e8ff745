"""Bytes per token from a SentencePiece model: the denominator of bits per byte.

Source: spec: Evaluation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor

from golf.errors import UserError

SPACE = "▁"  # SentencePiece's space


@dataclass(frozen=True)
class ByteTable:
    """Bytes of normalised text per token id; three arrays of the vocabulary's length.

    Summed over a document that follows a BOS, `target_bytes` is the UTF-8 length of its decoded text
    (golf.data.accounting checks it): where the model puts a space before the first word, the BOS, a boundary, takes it
    off the count again.
    """

    base_bytes: np.ndarray  # int16: UTF-8 length without a leading "▁"; 1 for a byte, 0 for a boundary
    has_leading_space: np.ndarray  # bool: the piece starts with "▁"
    is_boundary: np.ndarray  # bool: control, unknown and unused ids, which have no text
    space: tuple[int, ...] = (-1, -1, -1)  # the ids of the bytes of "▁"; of no token, where bytes are no tokens

    @property
    def vocab_size(self) -> int:
        return len(self.base_bytes)

    def bytes_of(self, previous: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Bytes (int64) of each target id after its `previous` id; both have one shape."""
        space = self.has_leading_space[target] & ~self.is_boundary[previous]
        size: np.ndarray = self.base_bytes[target].astype(np.int64) + space
        return size

    def target_bytes(self, tokens: np.ndarray) -> np.ndarray:
        """Bytes (n,) int64 of all tokens (n + 1,) of a stream except the first.

        If "▁" is not a piece, a space is encoded as its three bytes, of which the first is counted.
        """
        counts = self.bytes_of(tokens[:-1], tokens[1:])
        first, second, third = self.space
        at = np.flatnonzero((tokens[:-2] == first) & (tokens[1:-1] == second) & (tokens[2:] == third))
        counts[at] = counts[at + 1] = 0  # of the second byte, and of the third
        at = at[at > 0]
        counts[at - 1] = ~self.is_boundary[tokens[at - 1]]
        return counts


def read_model(path: Path) -> SentencePieceProcessor:
    """Load a SentencePiece model file. Raises UserError if it is not one."""
    model = SentencePieceProcessor()
    try:
        model.LoadFromSerializedProto(path.read_bytes() if path.is_file() else b"")  # a pipe would wait for a writer
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a SentencePiece model") from error
    return model


def read_byte_table(path: Path) -> ByteTable:
    """The byte table of a SentencePiece model file. Raises UserError if it is not one."""
    model = read_model(path)
    ids = range(model.vocab_size())
    boundary = [model.is_control(i) or model.is_unknown(i) or model.is_unused(i) for i in ids]
    try:
        text = ["" if boundary[i] else model.id_to_piece(i) for i in ids]
        base_bytes = np.array([1 if model.is_byte(i) else _length(text[i]) for i in ids], np.int16)
    except (UnicodeDecodeError, OverflowError) as error:
        raise UserError(f"{path}: a piece is not UTF-8, or too long ({error})") from error
    return ByteTable(
        base_bytes=base_bytes,
        has_leading_space=np.array([piece.startswith(SPACE) for piece in text], bool),
        is_boundary=np.array(boundary, bool),
        space=tuple(model.piece_to_id(f"<0x{byte:02X}>") for byte in SPACE.encode()),  # of no bytes: the unknown id
    )


def _length(piece: str) -> int:
    """UTF-8 length without a leading space. A "▁" further inside is a space too, so one byte, not three."""
    return len(piece.removeprefix(SPACE).replace(SPACE, " ").encode())
