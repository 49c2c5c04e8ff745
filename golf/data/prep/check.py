"""The byte accounts of documents, or of token shards without their source text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from golf.data.accounting import Accountant
from golf.data.prep.documents import read_documents
from golf.data.prep.normalization import TextAccount, account_text
from golf.data.shard import read_shard, require_vocabulary
from golf.data.tokenizer import ByteTable, read_byte_table
from golf.errors import require

Row = tuple[str, str, str]


def check(tokenizer: Path, files: list[Path]) -> str:
    """The account of all documents in the files, as a table.

    `files`: the shards of one stream in order (.bin), or documents: JSON lines with a "text" each (.jsonl), any other
    file is a text. Raises UserError if one cannot be read, and Unexplained, which names the document, if the byte
    table of the tokenizer does not count what it should.
    """
    table = read_byte_table(tokenizer)
    accountant = Accountant(tokenizer)
    shards = [file for file in files if file.suffix == ".bin"]
    require(not shards or shards == files, "give either token shards (.bin) or documents, not both")
    return _of_shards(accountant, table, files) if shards else _of_documents(accountant, table, files)


def _of_shards(accountant: Accountant, table: ByteTable, files: Sequence[Path]) -> str:
    for file in files:
        require_vocabulary(file, table.vocab_size, accountant.tokenizer)
    tokens = np.concatenate([read_shard(file) for file in files])
    account = accountant.of_stream(tokens, table.target_bytes(tokens))
    rows = [("counted", f"{account['documents']:,}", f"{account['text_bytes']:,}")]
    return _table(rows, account["tokens"], account["text_bytes"])


def _of_documents(accountant: Accountant, table: ByteTable, files: Sequence[Path]) -> str:
    model = accountant.model
    start = model.bos_id() if model.bos_id() >= 0 else model.eos_id()
    require(start >= 0, f"{accountant.tokenizer}: has neither BOS nor EOS, which part documents")
    total = TextAccount()
    for name, text in read_documents(files):
        total += account_text(accountant, table, start, text, name)
    require(total.documents > 0, f"{files[0]}: there is no document to check")
    rows = [
        ("text", f"{total.documents:,}", f"{total.text:,}"),
        ("white space normalised", f"{total.respaced:,}", f"{total.white_space:+,}"),
        ("other characters normalised", f"{total.rewritten:,}", f"{total.characters:+,}"),
        ("counted", f"{total.documents:,}", f"{total.counted:,}"),
    ]
    return _table(rows, total.tokens, total.counted)


def _table(rows: Sequence[Row], tokens: int, size: int) -> str:
    lines = [f"{name:<27}{number:>11}{size:>17}" for name, number, size in [("", "documents", "bytes"), *rows]]
    return "\n".join([*lines, f"{tokens:,} tokens with what parts documents: {size / tokens:.4f} bytes per token"])
