"""Text to data set: train a tokenizer, then write its shards.

The tokenizer is built so that decoding gives back the text to the byte: nothing is normalised, "▁" is a piece of its
own and no other piece is white space only (each space of an indentation is a token), and every character without a
piece, the newline among them, is written in bytes. Its ids 0 to 3 are those of the SP8192 tokenizer.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from golf.data.prepared import TOKENIZER
from golf.data.shard import write_shard
from golf.errors import UserError, require
from golf.events import Listener

PAD, BOS, EOS, UNK = range(4)


@dataclass(frozen=True)
class Settings:
    """Settings from texts to a data set (conf/data/stdlib.yaml)."""

    vocab_size: int
    character_coverage: float
    split_digits: bool
    train_shards: int

    def __post_init__(self) -> None:
        require(self.train_shards > 0, f"data.train_shards={self.train_shards} must be at least 1")
        require(
            0.98 <= self.character_coverage <= 1,  # SentencePiece's own limits
            f"data.character_coverage={self.character_coverage} must be from 0.98 to 1",
        )


def train_tokenizer(texts: Iterable[str], settings: Settings, key: str = "data.vocab_size") -> bytes:
    """A SentencePiece BPE model with byte fallback, the same for the same texts. Raises UserError, which names `key`,
    if there is none of that size."""
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=(line for text in texts for line in text.split("\n") if line),
            model_writer=model,
            model_type="bpe",
            vocab_size=settings.vocab_size,
            byte_fallback=True,
            split_digits=settings.split_digits,
            character_coverage=settings.character_coverage,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            num_threads=1,
            minloglevel=2,  # errors only, which are raised as exceptions
        )
    except RuntimeError as error:
        raise UserError(f"{key}: no tokenizer of {settings.vocab_size} pieces can be trained ({error})") from error
    return model.getvalue()


def prepare(directory: Path, train: Sequence[str], val: Sequence[str], settings: Settings, events: Listener) -> None:
    """Write a tokenizer trained on the training texts, and both kinds of texts as shards, BOS before each text."""
    model = train_tokenizer(train, settings)
    (directory / TOKENIZER).write_bytes(model)
    processor = SentencePieceProcessor(model_proto=model)
    streams = []
    for texts in (train, val):
        streams.append(np.concatenate([[BOS, *processor.encode(text)] for text in texts]))
        events.progress("data", len(streams), 2)
    for i, tokens in enumerate(np.array_split(streams[0], settings.train_shards)):
        write_shard(directory / f"corpus_train_{i:06d}.bin", tokens)
    write_shard(directory / "corpus_val_000000.bin", streams[1])
