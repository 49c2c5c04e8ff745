"""Token shards, the field's file format: 256 little-endian int32 (magic, version, token count, 0…), then uint16 tokens.

Source: spec: Data.
"""

import errno
import hashlib
import os
import resource
from contextlib import nullcontext
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from golf.errors import UserError, require
from golf.utils.atomic import atomic_write

SHARD_MAGIC = 20240520
SHARD_VERSION = 1
HEADER_BYTES = 4 * 256
CHUNK_BYTES = 2**24  # what is read at once: a multiple of the two bytes of a token


@dataclass(frozen=True)
class Contents:
    """SHA-256 of the whole file in hex, number of tokens, and the largest token (-1 without tokens)."""

    sha256: str
    tokens: int
    largest: int


def write_shard(path: Path, tokens: np.ndarray) -> None:
    """Write a shard; tokens (n,) of any integer type. Raises UserError if one does not fit uint16."""
    foreign = np.flatnonzero((tokens < 0) | (tokens >= 2**16))
    if len(foreign):
        raise UserError(f"{path}: token {tokens[foreign[0]]} at position {foreign[0]} does not fit the shards' uint16")
    header = np.zeros(HEADER_BYTES // 4, "<i4")
    header[:3] = SHARD_MAGIC, SHARD_VERSION, len(tokens)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(header.tobytes())
        file.write(tokens.astype("<u2").tobytes())


class Shard:
    """The tokens of a file, read from it when they are asked for: shard[a:b] is (b - a,) uint16.

    Not mapped into memory, which is no faster and ends the process, without a word, where the file has been cut short.
    Raises UserError if the file is not a complete shard, or no longer is.
    """

    def __init__(self, path: Path):
        self.path = path
        self.length = shard_length(path)
        self.file: FileIO | None = self._open()
        # Kept open to save time, as long as half of the process's file limit stays free.
        if self.file.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            self.file.close()
            self.file = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice) -> np.ndarray:
        start, wanted = HEADER_BYTES + 2 * part.start, 2 * (part.stop - part.start)
        with nullcontext(self.file) if self.file else self._open() as file:
            read = os.pread(file.fileno(), wanted, start)
        end = start + len(read)
        require(len(read) == wanted, f"{self.path}: ends at byte {end} now; leave the data alone, and run again")
        return np.frombuffer(read, "<u2")

    def _open(self) -> FileIO:
        try:
            return FileIO(self.path)
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({_reason(error)})") from error


def _reason(error: OSError) -> str:
    if error.errno != errno.EMFILE:
        return str(error.strerror)
    return f"{error.strerror}: this process may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}, ulimit -n"


def read_shard(path: Path) -> np.ndarray:
    """All tokens (n,) uint16 of a shard. Raises UserError if the file is not a complete shard."""
    return np.fromfile(path, "<u2", shard_length(path), offset=HEADER_BYTES)


def shard_length(path: Path) -> int:
    """The number of tokens of a shard. Raises UserError if the file is not a complete shard."""
    require(path.is_file() or not path.exists(), f"{path}: is no regular file")
    try:
        size, header = path.stat().st_size, np.fromfile(path, "<i4", 3)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({_reason(error)})") from error
    require(
        size >= HEADER_BYTES, f"{path}: ends at byte {size}, inside the {HEADER_BYTES}-byte header of a token shard"
    )
    magic, version, count = header.tolist()
    require(magic == SHARD_MAGIC, f"{path}: not a token shard (magic {magic} at byte 0, should be {SHARD_MAGIC})")
    known = version == SHARD_VERSION
    require(known, f"{path}: token shard of unknown version {version} at byte 4, should be {SHARD_VERSION}")
    whole = HEADER_BYTES + 2 * count
    if size != whole:
        raise UserError(f"{path}: {count} tokens (byte 8) make {whole} bytes, but the file has {size}; fetch it again")
    return int(count)


def read_contents(path: Path) -> Contents:
    """The summary of a shard, in one pass. Raises UserError if the file is not a complete shard."""
    tokens, largest = shard_length(path), -1
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(HEADER_BYTES))
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            largest = max(largest, int(np.frombuffer(chunk, "<u2").max()))
    return Contents(digest.hexdigest(), tokens, largest)


def require_vocabulary(path: Path, vocab_size: int, tokenizer: Path) -> None:
    """Raises UserError if a token of the shard is outside the tokenizer's `vocab_size` ids."""
    tokens = read_shard(path)
    foreign = np.flatnonzero(tokens >= vocab_size)
    if len(foreign):
        raise UserError(
            f"{path}: token {tokens[foreign[0]]} at position {foreign[0]} is not in the vocabulary of {vocab_size}: "
            f"the shards were made with another tokenizer than {tokenizer}"
        )
