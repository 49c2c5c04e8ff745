"""Tokenizers for the tests of byte accounts, and what counts with them."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from golf.data.accounting import Accountant
from golf.data.prep.normalization import TextAccount, account_text
from golf.data.tokenizer import ByteTable, read_byte_table

TEXT = "the quick brown fox jumps over the lazy dog and then the dog jumps over the fox again " * 4


def train(path: Path, **settings: Any) -> Path:
    """A small tokenizer by SentencePiece's own defaults, but for what is given."""
    model = io.BytesIO()
    settings = {"byte_fallback": True, "vocab_size": 290, "model_type": "bpe", "minloglevel": 2} | settings
    SentencePieceTrainer.train(sentence_iterator=iter([TEXT]), model_writer=model, **settings)
    path.write_bytes(model.getvalue())
    return path


def without_space_piece(path: Path) -> Path:
    """The tokenizer with another character in place of the piece "▁": a space that no piece has becomes bytes."""
    return _edited(path, "▁", lambda piece: setattr(piece, "piece", "☃"))


def with_unused(path: Path, piece: str) -> Path:
    """The tokenizer with one of its pieces made unused."""
    return _edited(path, piece, lambda piece: setattr(piece, "type", piece.UNUSED))


def _edited(path: Path, name: str, edit: Callable[[Any], None]) -> Path:
    model = ModelProto.FromString(path.read_bytes())
    (piece,) = (piece for piece in model.pieces if piece.piece == name)
    edit(piece)
    path.write_bytes(model.SerializeToString())
    return path


@dataclass(frozen=True)
class Counting:
    """A tokenizer file, and its byte table or another."""

    path: Path
    other: ByteTable | None = None

    @cached_property
    def accountant(self) -> Accountant:
        return Accountant(self.path)

    @cached_property
    def table(self) -> ByteTable:
        return self.other or read_byte_table(self.path)

    @property
    def model(self) -> SentencePieceProcessor:
        return self.accountant.model

    def with_table(self, **arrays: np.ndarray) -> "Counting":
        return Counting(self.path, replace(self.table, **arrays))

    def tokens(self, *texts: str) -> np.ndarray:
        """A stream of documents, each after a BOS."""
        return np.array([token for text in texts for token in (self.model.bos_id(), *self.model.encode(text))])

    def of_stream(self, tokens: np.ndarray) -> dict[str, Any]:
        return self.accountant.of_stream(tokens, self.table.target_bytes(tokens))

    def of_document(self, tokens: np.ndarray) -> int:
        """With its BOS or without; then its first token is counted too."""
        tokens = np.array(tokens, int)
        if not len(tokens) or tokens[0] != self.model.bos_id():
            tokens = np.append(self.model.bos_id(), tokens)
        return self.accountant.of_document(tokens, np.append(0, self.table.target_bytes(tokens)), "here")

    def of_text(self, text: str) -> TextAccount:
        return account_text(self.accountant, self.table, self.model.bos_id(), text, "here")
