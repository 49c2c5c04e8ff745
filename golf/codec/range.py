"""Entropy coding of the codes: the range variant of asymmetric numeral systems (rANS, arXiv:1311.2540).

`golf.codec.adaptive` provides the codes' frequencies; the package `constriction` codes them. It takes frequencies as
float64 and rounds them to its own precision. They are integers that sum to a power of two, so that each of its steps is
exact and every platform decodes the same.

Format, little-endian: CRC-32 of the ranges and of all codes (uint32); the range, smallest and largest value, of each
coded matrix (int8), of which there are three for each matrix of codes (`golf.codec.row_delta`); and the words of the
coder (uint32).
"""

import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from constriction import stream

from golf.codec.adaptive import Adaptive
from golf.codec.base import CodecError, Form
from golf.codec.joined import JoinedCodec
from golf.codec.lzma import Lzma
from golf.codec.row_delta import join, split

CHECKSUM = struct.Struct("<I")
PIECE = 1 << 20  # symbols per call: constriction takes four bytes for each
MAX_SIDE = 1 << 20  # rows or columns of a matrix, since the state kept for each takes more memory than a code


class Range:
    """rANS for matrices of codes (two-dimensional int8), LZMA for everything else."""

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        forms = [Form(array.dtype.str, array.shape) for array in arrays]
        if not _are_codes(forms):
            return _for_others(forms).encode(arrays)
        parts: list[tuple[np.ndarray, np.ndarray]] = []

        def keep(block: np.ndarray, columns: np.ndarray, low: int, frequencies: np.ndarray) -> np.ndarray:
            symbols = block[:, columns].view(np.uint8) - np.uint8(low % 256)
            parts.append((symbols.ravel(), frequencies))
            return symbols

        adaptive, ends = Adaptive(keep), []
        for array in arrays:
            for matrix in split(array):
                low, high = (int(matrix.min()), int(matrix.max())) if matrix.size else (0, 0)
                adaptive.visit(matrix, low, high)
                ends += [low, high]
        coder = stream.stack.AnsCoder()
        for symbols, frequencies in reversed(parts):  # the coder is a stack
            model = _model(frequencies)
            for start in reversed(range(0, symbols.size, PIECE)):
                coder.encode_reverse(symbols[start : start + PIECE].astype(np.int32), model)
        header, words = np.array(ends, np.int8).tobytes(), coder.get_compressed().astype("<u4").tobytes()
        return b"".join((CHECKSUM.pack(_checksum(header, arrays)), header, words))

    def decode(self, data: bytes, forms: Sequence[Form]) -> list[np.ndarray]:
        if not _are_codes(forms):
            return _for_others(forms).decode(data, forms)
        words_at = CHECKSUM.size + 6 * len(forms)
        if len(data) < words_at or (len(data) - words_at) % 4:
            raise CodecError("range: cut short, or followed by other bytes")
        try:
            coder = stream.stack.AnsCoder(np.frombuffer(data[words_at:], "<u4").astype(np.uint32))
        except ValueError as error:  # the last word of a coder is never 0
            raise CodecError("range: damaged, or followed by other bytes") from error

        def fill(block: np.ndarray, columns: np.ndarray, low: int, frequencies: np.ndarray) -> np.ndarray:
            model, symbols = _model(frequencies), np.empty((len(block), len(columns)), np.uint8)
            flat = symbols.reshape(-1)
            for start in range(0, flat.size, PIECE):
                flat[start : start + PIECE] = coder.decode(model, min(PIECE, flat.size - start))
            block[:, columns] = (symbols + np.uint8(low % 256)).view(np.int8)
            return symbols

        header = data[CHECKSUM.size : words_at]
        adaptive, ends = Adaptive(fill), iter(np.frombuffer(header, np.int8).tolist())
        arrays = [_decode_matrix(form, ends, adaptive) for form in forms]
        if not coder.is_empty():
            raise CodecError("range: damaged, or followed by other bytes")
        if CHECKSUM.pack(_checksum(header, arrays)) != data[: CHECKSUM.size]:
            raise CodecError("range: damaged, the checksum of the codes differs")
        return arrays


def _decode_matrix(form: Form, ends: Iterator[int], adaptive: Adaptive) -> np.ndarray:
    rows, columns = form.shape
    if max(rows, columns) > MAX_SIDE:
        raise CodecError(f"range: a matrix of more than {MAX_SIDE} rows or columns")

    def decoded(rows: int, columns: int) -> np.ndarray:
        low, high = next(ends), next(ends)
        if low > high:
            raise CodecError("range: damaged, the smallest value of a matrix is above the largest")
        matrix = np.full((rows, columns), low, np.int8)
        adaptive.visit(matrix, low, high)
        return matrix

    near = decoded(rows, 1)
    count = int(np.count_nonzero(near))
    differences = decoded(count, columns)
    return join(near, differences, decoded(rows - count, columns))


def _model(frequencies: np.ndarray) -> stream.model.Categorical:
    return stream.model.Categorical(frequencies.astype(np.float64), perfect=False)


def _are_codes(forms: Sequence[Form]) -> bool:
    return all(np.dtype(form.dtype) == np.int8 and len(form.shape) == 2 for form in forms)


def _for_others(forms: Sequence[Form]) -> JoinedCodec:
    return Lzma(preset=9, byte_shuffle=np.dtype(forms[0].dtype).itemsize == 2)


def _checksum(header: bytes, arrays: Sequence[np.ndarray]) -> int:
    checksum = zlib.crc32(header)
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).data, checksum)
    return checksum
