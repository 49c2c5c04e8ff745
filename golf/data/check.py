"""The byte accounts of files: of documents, or of token shards without their source text."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from golf.data.accounting import Account, Accountant, Unexplained, documents
from golf.data.documents import read_documents
from golf.data.shard import read_shard, require_vocabulary
from golf.data.tokenizer import read_byte_table, read_model
from golf.errors import require


def check(tokenizer: Path, files: list[Path]) -> str:
    """The account of all documents in the files, as a table.

    `files`: the shards of one stream in order (.bin), or documents: JSON lines with a "text" each (.jsonl), any other
    file is a text. Raises UserError if one cannot be read, and Unexplained, which names the document, if the byte
    table of the tokenizer does not count what it should.
    """
    table = read_byte_table(tokenizer)
    accountant = Accountant(read_model(tokenizer), table)
    bos = accountant.model.bos_id()
    require(bos >= 0, f"{tokenizer}: has no BOS, which begins each document")
    shards = [file for file in files if file.suffix == ".bin"]
    require(not shards or shards == files, "give either token shards (.bin) or documents, not both")
    found: Iterator[tuple[str, Any]] = (
        _in_shards(files, tokenizer, table.vocab_size, bos) if shards else read_documents(files)
    )
    account: Callable[[Any], Account] = accountant.of_tokens if shards else accountant.of_text
    total = Account()
    for name, document in found:
        try:
            total += account(document)
        except Unexplained as error:
            raise Unexplained(f"{name}: {error}") from error
    require(total.documents > 0, f"{files[0]}: there is no document to check")
    return _table(total, with_text=not shards)


def _in_shards(files: list[Path], tokenizer: Path, vocab_size: int, bos: int) -> Iterator[tuple[str, np.ndarray]]:
    for file in files:
        require_vocabulary(file, vocab_size, tokenizer)
    start = 0
    for number, document in enumerate(documents(np.concatenate([read_shard(file) for file in files]), bos), 1):
        yield f"document {number}, from token {start} of the shards on", document
        start += len(document)


def _table(total: Account, *, with_text: bool) -> str:
    rows = [("counted", f"{total.documents:,}", f"{total.counted:,}")]
    if with_text:
        rows[:0] = [
            ("text", f"{total.documents:,}", f"{total.text:,}"),
            ("white space normalised", f"{total.respaced:,}", f"{total.white_space:+,}"),
            ("other characters normalised", f"{total.rewritten:,}", f"{total.characters:+,}"),
        ]
    lines = [f"{name:<27}{number:>11}{size:>17}" for name, number, size in [("", "documents", "bytes"), *rows]]
    each = f"{total.counted / total.tokens:.4f} bytes per token"
    return "\n".join([*lines, f"{total.tokens:,} tokens, a BOS for each document among them: {each}"])
