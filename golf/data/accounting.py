"""The byte account of a token stream: the counted bytes against those of the decoded text.

Bits per byte divide by the byte table's count, so it is verified here without the table: the tokenizer decodes each
document. A document is the text between two control tokens, BOS or EOS.

Source: spec: Evaluation.
"""

from bisect import bisect_left
from pathlib import Path
from typing import Any

import numpy as np

from golf.data.tokenizer import SPACE, read_model
from golf.errors import UserError

REPLACEMENT = "\ufffd"  # SentencePiece's decoding of a byte that does not complete a character


class Unexplained(UserError):
    """The count and the decoded text differ; the message is one line with the place."""


def stream_account(tokenizer: Path, tokens: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """The byte account of a stream: Accountant.of_stream by the tokenizer in a file."""
    return Accountant(tokenizer).of_stream(tokens, counts)


class Accountant:
    """Counts bytes by decoding with the tokenizer (a file). Raises Unexplained if it appends a space to texts."""

    def __init__(self, tokenizer: Path):
        self.tokenizer = tokenizer
        self.model = model = read_model(tokenizer)
        sample = model.normalize("a")
        if sample.endswith(SPACE):
            raise Unexplained(f"{tokenizer}: ends each text with a space that is not in it; train it without")
        self.has_dummy_prefix = sample.startswith(SPACE)  # a space before each text, which decoding removes
        ids = range(model.vocab_size())
        self._is_control = np.array([model.is_control(i) for i in ids])
        self._is_lost = np.array([model.is_unknown(i) or model.is_unused(i) for i in ids])

    def of_stream(self, tokens: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
        """The account as in results.json: number of nonempty documents and of tokens; bytes by `counts` and by the
        decoded text, of all tokens except the first, which is not a target.

        tokens (n + 1,); counts (n,): bytes of all tokens except the first. Raises Unexplained, which names the first
        document and token whose count differs from the text.
        """
        starts = np.flatnonzero(self._is_control[tokens])
        documents = start = text = 0
        for document, counted in zip(*(np.split(part, starts) for part in (tokens, np.append(0, counts))), strict=True):
            where = f"{self.tokenizer}: document {documents + 1}, from token {start} of the stream on"
            size = self.of_document(document, counted, where)
            documents += size > 0
            start += len(document)
            text += size
        if not text:
            raise Unexplained(f"{self.tokenizer}: the stream has no text, so there are no bits per byte")
        sizes = {"table_bytes": int(counts.sum()), "text_bytes": text}
        return {"documents": documents, "tokens": len(tokens), **sizes, "verdict": "pass"}

    def of_document(self, tokens: np.ndarray, counts: np.ndarray, where: str) -> int:
        """Bytes of the text of a document's tokens (n,), the first of which is its BOS or not a target; counts (n,).

        Raises Unexplained, whose message begins with `where`.
        """
        ids = tokens.tolist()
        size = self._added(ids, 1, len(ids))
        if self._is_lost[tokens].any() or size != counts.sum():
            wrong = self._wrong(ids, counts)
            raise Unexplained(where + wrong)
        return size

    def _added(self, ids: list[int], start: int, end: int) -> int:
        """Bytes that the tokens from `start` to `end` − 1 add to the text of those before them."""
        return self._size(ids[:end]) - self._size(ids[:start])

    def _size(self, ids: list[int]) -> int:
        """Bytes of the decoded text. A "▁" in it came from a space, so it counts one byte."""
        text: str = self.model.decode(ids)
        whole = text
        if REPLACEMENT in text:  # three bytes that stand for one: decode with a letter for every byte
            letter = self.model.piece_to_id("<0x41>")
            whole = self.model.decode([letter if self.model.is_byte(token) else token for token in ids])
        starts_with_own: bool = self.has_dummy_prefix and text.startswith(SPACE) and self.model.is_control(ids[0])
        return len(whole.encode()) - 2 * text.count(SPACE) - starts_with_own

    def _wrong(self, ids: list[int], counts: np.ndarray) -> str:
        """The token that is lost or miscounted, found by bisection: the first one unless errors cancel out."""
        if lost := np.flatnonzero(self._is_lost[ids]).tolist():
            at, fault = (
                lost[0],
                "is unknown to the tokenizer or unused in it, so its text is lost: make the shards with another",
            )
        else:
            at = bisect_left(range(len(ids)), True, key=lambda i: counts[: i + 1].sum() != self._added(ids, 1, i + 1))
            fault = (
                f"counts {counts[at]} bytes in the table, but adds {self._added(ids, at, at + 1)} to the decoded text"
            )
        named = " after ".join(repr(self.model.id_to_piece(ids[i])) for i in (at, at - 1) if i >= 0)
        return f": token {at}, {named}, {fault}"
