"""Byte accounts that were made before, in the user's cache, under a digest of all that they depend on."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from golf.cache.entries import Entry, claimed, user_cache
from golf.data import accounting
from golf.data.accounting import stream_account
from golf.errors import UserError
from golf.utils.atomic import write_json
from golf.utils.hashing import sha256

FILE = "account.json"


def byte_account(tokenizer: Path, tokens: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """What stream_account(tokenizer, tokens, counts) returns or raises; what it returns is kept."""
    key = _key(tokenizer, tokens, counts)
    with suppress(OSError):  # without a cache, it is made
        if (kept := Entry(user_cache(None, "accounts") / key)).is_whole():
            found: dict[str, Any] = json.loads((kept.path / FILE).read_text(encoding="utf-8"))
            return found
    account = stream_account(tokenizer, tokens, counts)
    with suppress(OSError, UserError), claimed(user_cache(None, "accounts"), key, seconds=0) as entry:
        entry.fill(lambda directory: write_json(directory / FILE, account))
    return account


def _key(tokenizer: Path, tokens: np.ndarray, counts: np.ndarray) -> str:
    """Of the tokens, so of what is used of the shards."""
    digest = hashlib.sha256()
    for part in (sentencepiece.__version__, sha256(accounting.__file__), sha256(tokenizer), str(len(tokens))):
        digest.update(f"{part}\n".encode())
    for array in (tokens, counts.astype(np.int16)):  # as a byte table has them
        digest.update(array.data)
    return digest.hexdigest()
