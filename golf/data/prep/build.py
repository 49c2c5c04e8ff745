"""Text to a data set in a directory: `python -m golf.data build`.

The documents are read three times (digests; their number and a sample for the tokenizer; tokens), and never all at
once, so that they may be larger than memory. The files depend on the documents and the options alone.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from golf.cache.entries import PATIENCE, claimed
from golf.data.manifest import Manifest, shard_entry, tokenizer_entry
from golf.data.prep.documents import read_documents
from golf.data.prep.encode import encoding
from golf.data.prep.prepare import TOKENIZER, Settings, train_tokenizer
from golf.data.shard import write_shard
from golf.errors import UserError, require
from golf.events import Listener
from golf.utils.atomic import atomic_directory
from golf.utils.hashing import sha256

SUFFIXES = (".txt", ".jsonl")
SAMPLE_BYTES = 2**26  # about, of text that the tokenizer is trained on: SentencePiece takes some 20 times the memory
LINE_CHARACTERS = 1000  # what SentencePiece trains on at once, so that it leaves no long line out
# The challenge's own tokenizers have these.
CHARACTER_COVERAGE = 0.999
SPLIT_DIGITS = True


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of the command. The first `val_documents` are the validation split; a shard has at most `shard_tokens`."""

    vocab: int
    val_documents: int
    workers: int
    shard_tokens: int

    def __post_init__(self) -> None:
        require(260 < self.vocab <= 2**16, f"--vocab={self.vocab} must be from 261 (all bytes) to 65536 (uint16)")
        require(self.val_documents > 0, f"--val-documents={self.val_documents} must be at least 1")
        require(self.workers > 0, f"--workers={self.workers} must be at least 1")
        require(0 < self.shard_tokens < 2**31, f"--shard-tokens={self.shard_tokens} must be from 1 to 2147483647")


def build(inputs: Sequence[Path], output: Path, options: Options, events: Listener) -> None:
    """Write tokenizer, shards and manifest of the documents in `inputs` into the new directory `output`.

    Raises UserError if the inputs cannot be read, are too few or cannot be encoded, or if `output` exists.
    """
    for file in inputs:
        require(file.suffix in SUFFIXES, f"{file}: is neither a text (.txt) nor JSON lines (.jsonl)")
        require(file.is_file(), f"{file}: there is no such file")
    twice = {file for file in inputs if inputs.count(file) > 1}
    require(not twice, f"{min(twice, default=None)}: is given twice")

    def waiting() -> None:
        events.event("waiting for another build", directory=str(output), seconds=PATIENCE)

    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        with claimed(output.absolute().parent, output.absolute().name, waiting=waiting):
            require(not output.exists(), f"--output={output} exists; delete it, or choose another")
            with atomic_directory(output.absolute()) as directory:
                _build(inputs, directory, options, events)
    except OSError as error:
        raise UserError(f"--output={output} cannot be written ({error})") from error
    events.event("built", directory=str(output))


def _build(inputs: Sequence[Path], directory: Path, options: Options, events: Listener) -> None:
    source = _source(inputs)
    number, sample = _sample(inputs, options.val_documents, source["bytes"])
    if number <= options.val_documents:
        raise UserError(f"--val-documents={options.val_documents}: of {number} documents none is left to train on")
    events.event("training the tokenizer", documents=number, sample_bytes=sum(len(text.encode()) for text in sample))
    settings = Settings(
        vocab_size=options.vocab, character_coverage=CHARACTER_COVERAGE, split_digits=SPLIT_DIGITS, train_shards=1
    )
    tokenizer = directory / TOKENIZER
    tokenizer.write_bytes(train_tokenizer(_lines(sample), settings, "--vocab"))
    sample.clear()
    documents = _counted(read_documents(inputs), number, events)
    with encoding(tokenizer, options.workers) as encode:
        val = _shards(directory, "val", encode(islice(documents, options.val_documents)), options.shard_tokens)
        train = _shards(directory, "train", encode(documents), options.shard_tokens)
    made = {"documents": number, "val_documents": options.val_documents, "sentencepiece": version("sentencepiece")}
    Manifest(directory, {**source, **made}, tokenizer_entry(tokenizer), train, val).write()


def _source(inputs: Sequence[Path]) -> dict[str, Any]:
    """The size of the text, and the digest of the list of its files' digests and names."""
    listing = "".join(f"{sha256(file)} {file.name}\n" for file in inputs)
    size = sum(file.stat().st_size for file in inputs)
    return {"files": len(inputs), "bytes": size, "sha256": hashlib.sha256(os.fsencode(listing)).hexdigest()}


def _sample(inputs: Sequence[Path], val_documents: int, size: int) -> tuple[int, list[str]]:
    """The number of documents, and about SAMPLE_BYTES of those that are not for validation, from all over them."""
    share = SAMPLE_BYTES / max(size, 1)
    sample: list[str] = []
    room = SAMPLE_BYTES
    number = 0
    for _, text in read_documents(inputs):
        if number >= val_documents and room > 0 and _draw(number) < share:
            sample.append(text[:room])
            room -= len(text.encode())
        number += 1
    return number, sample


def _draw(number: int) -> float:
    """A pseudorandom number from 0 to 1, a function of the argument."""
    return int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:8], "big") / 2**64


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.split("\n"):
            for at in range(0, len(line), LINE_CHARACTERS):
                yield line[at : at + LINE_CHARACTERS]


def _counted(documents: Iterable[tuple[str, str]], number: int, events: Listener) -> Iterator[tuple[str, str]]:
    for done, document in enumerate(documents):
        events.progress("encode", done, number)
        yield document
    events.progress("encode", number, number)


def _shards(directory: Path, split: str, streams: Iterable[np.ndarray], shard_tokens: int) -> list[dict[str, Any]]:
    """Write streams of tokens, one after the other, as shards of `shard_tokens` and a last one; their entries."""
    entries: list[dict[str, Any]] = []
    pending: list[np.ndarray] = []
    length = 0

    def write(tokens: np.ndarray) -> None:
        path = directory / f"corpus_{split}_{len(entries):06d}.bin"
        write_shard(path, tokens)
        entries.append(shard_entry(path))

    for tokens in streams:
        pending.append(tokens)
        length += len(tokens)
        if length >= shard_tokens:
            stream = np.concatenate(pending)
            whole = length - length % shard_tokens
            for start in range(0, whole, shard_tokens):
                write(stream[start : start + shard_tokens])
            pending, length = [stream[whole:]], length - whole
    if length:
        write(np.concatenate(pending))
    return entries
