"""An opened data set: its files, reading them, and checks against the model."""

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from golf.data.loader import Order
from golf.data.manifest import Manifest, read_manifest
from golf.data.shard import Contents, read_contents, read_shard, require_vocabulary, shard_length
from golf.data.tokenizer import ByteTable, read_byte_table
from golf.errors import UserError, require
from golf.events import Listener
from golf.utils.hashing import Stamp, sha256, stamp


@dataclass(frozen=True)
class Dataset:
    """Shards of training and validation tokens and the tokenizer they were made with.

    `val_tokens` cuts the validation stream to its first tokens (None: all of it); `seed` seeds the order of the
    training data (None: the record's order, the same for every run); `order`: how the ranks share it.
    """

    train_files: list[Path]
    val_files: list[Path]
    tokenizer: Path
    val_tokens: int | None
    seed: int | None
    order: Order

    @cached_property
    def byte_table(self) -> ByteTable:
        return read_byte_table(self.tokenizer)

    @cached_property
    def _contents(self) -> dict[Path, Contents]:
        files = [*self.train_files, *self.val_files]
        self._stamps  # noqa: B018 — taken before the files are read, to detect changes
        with ThreadPoolExecutor() as pool:  # hashing releases the interpreter, and real data is 25 GB: read it once
            return dict(zip(files, pool.map(read_contents, files), strict=True))

    @cached_property
    def _stamps(self) -> dict[Path, Stamp]:
        return {file: stamp(file) for file in [*self.train_files, *self.val_files, self.tokenizer]}

    @property
    def vocab_size(self) -> int:
        return self.byte_table.vocab_size

    def validation(self, seq_len: int) -> np.ndarray:
        """The validation stream (k · seq_len + 1,) uint16: all shards in order, cut to whole sequences.

        Raises UserError if it is shorter than one sequence and its last target.
        """
        kept = self.val_tokens
        require(kept is None or kept > 0, f"data.val_tokens={kept} must be at least 1, or null for all")
        stream = np.concatenate([read_shard(file) for file in self.val_files])[:kept]
        sequences = (len(stream) - 1) // seq_len
        if sequences < 1:
            raise UserError(
                f"{self.val_files[0].parent}: {len(stream)} validation tokens, fewer than one sequence of {seq_len} + 1"
            )
        return stream[: sequences * seq_len + 1]

    def check(self, vocab_size: int, seq_len: int) -> None:
        """Raises UserError if a model of `vocab_size` cannot be trained or scored on sequences of `seq_len` tokens."""
        require(seq_len > 0, f"model.seq_len={seq_len} must be at least 1")
        require(
            self.seed is None or 0 <= self.seed < 2**63,
            f"data.seed={self.seed} must be from 0 to 2**63 - 1, or null for an order that is the same for every run",
        )
        if vocab_size != self.vocab_size:
            raise UserError(
                f"model.vocab_size is {vocab_size}, but the tokenizer {self.tokenizer} has {self.vocab_size} pieces: "
                f"choose the data that belong to the model, or set model.vocab_size={self.vocab_size} for a new one"
            )
        longest = max(shard_length(file) for file in self.train_files)
        if longest <= seq_len:
            raise UserError(
                f"{self.train_files[0].parent}: the longest training shard has {longest} tokens, "
                f"fewer than one sequence of {seq_len} + 1"
            )
        self.validation(seq_len)
        scored = {self._contents[file].sha256: file for file in self.val_files}
        for file in self.train_files:
            if same := scored.get(self._contents[file].sha256):
                raise UserError(f"{file}: a shard to train on holds what {same} is scored on; change data.train_glob")
        for file, contents in self._contents.items():
            if contents.largest >= vocab_size:
                require_vocabulary(file, vocab_size, self.tokenizer)

    def check_manifest(self) -> None:
        """Raises UserError, which names a file, if the files are not those of the manifest beside the shards."""
        if self._manifest is not None:
            self._manifest.check_sizes()  # fast, before the files are read
            self._manifest.check_tokenizer(self.tokenizer, sha256(self.tokenizer))
            for file, contents in self._contents.items():
                self._manifest.check_shard(file, contents.sha256)

    @cached_property
    def _manifest(self) -> Manifest | None:
        return read_manifest(self.train_files[0].parent)

    def check_unchanged(self) -> None:
        """Raises UserError, naming the file, if one was changed, replaced or removed since its digest was computed."""
        for file, before in self._stamps.items():
            same = stamp(file) == before
            require(same, f"{file}: was changed while the job ran; leave the data alone, and run again")

    def digests(self) -> dict[str, Any]:
        """The identity of the data: SHA-256 and token count of each shard, the number of validation tokens used (None:
        all), SHA-256 and vocabulary of the tokenizer, and SHA-256 of the manifest (None without one)."""
        return {
            "manifest": None if self._manifest is None else sha256(self._manifest.path),
            "tokenizer": {
                "file": self.tokenizer.name,
                "sha256": sha256(self.tokenizer),
                "vocab_size": self.vocab_size,
            },
            "train": self._shards(self.train_files),
            "val": self._shards(self.val_files),
            "val_tokens": self.val_tokens,
        }

    def _shards(self, files: list[Path]) -> list[dict[str, Any]]:
        return [
            {"file": file.name, "sha256": self._contents[file].sha256, "tokens": self._contents[file].tokens}
            for file in files
        ]


@dataclass(kw_only=True)
class Data(ABC):
    """A source of a data set, as configured in conf/data."""

    val_tokens: int | None
    seed: int | None
    order: Order

    @abstractmethod
    def open(self, events: Listener) -> Dataset:
        """The data set, which is built first if necessary. Raises UserError if it cannot be opened."""
