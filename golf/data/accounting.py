"""Checks the byte table against the text, one document at a time: a byte counted wrongly is a wrong score.

What the table counts must be the bytes of the decoded text, and the decoded text must be what SentencePiece's own
normaliser makes of the document. What the normaliser changes is accounted for: white space, and apart from it other
characters (SP8192's, `nmt_nfkc`, also writes "½" as "1⁄2"). Anything else is Unexplained.

Source: spec: Evaluation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from itertools import groupby, pairwise, takewhile
from operator import add, itemgetter

import numpy as np
from sentencepiece import SentencePieceProcessor

from golf.data.tokenizer import SPACE, ByteTable

REPLACEMENT = "\ufffd"  # what SentencePiece decodes a byte to that is not of a whole character
EXCERPT = 20  # characters of a text that a message shows


class Unexplained(Exception):
    """The byte table, the decoded text and the document do not agree; the message is one line that says where."""


@dataclass(frozen=True)
class Account:
    """Of one document or, added up, of many. Where the text is known, counted = text + white_space + characters.

    Bytes are of UTF-8. White space is what `str.isspace` says, and "▁", which SentencePiece takes for a space.
    """

    documents: int = 0
    tokens: int = 0  # BOS included
    counted: int = 0  # bytes by the table, which are those of the decoded text
    text: int = 0  # bytes of the documents; 0 where only their tokens are known, and so are all below
    white_space: int = 0  # bytes that normalisation added by changing white space into other white space or nothing
    characters: int = 0  # bytes that all its other changes added
    respaced: int = 0  # documents with a change of white space
    rewritten: int = 0  # documents with another change

    def __add__(self, other: "Account") -> "Account":
        return Account(*map(add, astuple(self), astuple(other)))


def documents(stream: np.ndarray, bos: int) -> Iterator[np.ndarray]:
    """The documents of a token stream (n,), each from its BOS to the next; what stands before the first is one too."""
    for document in np.split(stream, np.flatnonzero(stream == bos)):
        if len(document):
            yield document


@dataclass(frozen=True)
class Accountant:
    """Checks documents; `table` is the byte table of `model`, whose BOS stands before each."""

    model: SentencePieceProcessor
    table: ByteTable

    def of_tokens(self, document: np.ndarray) -> Account:
        """The account of the tokens (n,) of one document, with its BOS or without. Raises Unexplained."""
        counted = self._counted(document[document != self.model.bos_id()])
        return Account(documents=1, tokens=len(document), counted=counted)

    def of_text(self, text: str) -> Account:
        """The account of one document, which must have a UTF-8 form. Raises Unexplained."""
        ids = self.model.encode(text)
        counted = self._counted(np.array(ids, int))
        changes = [(old, new) for old, new in self._normalised(text, self.model.decode(ids)) if old != new]
        respaced = [change for change in changes if not _visible("".join(change))]
        white_space = sum(_size(new) - _size(old) for old, new in respaced)
        return Account(
            documents=1,
            tokens=1 + len(ids),
            counted=counted,
            text=_size(text),
            white_space=white_space,
            characters=counted - _size(text) - white_space,
            respaced=int(len(respaced) > 0),
            rewritten=int(len(respaced) < len(changes)),
        )

    def _counted(self, ids: np.ndarray) -> int:
        """The table's count for a document without its BOS, once it is known to be that of the decoded text."""
        counts = self.table.bytes_of(np.concatenate([[self.model.bos_id()], ids])[: len(ids)], ids)
        tokens = ids.tolist()
        if counts.sum() != self._decoded_size(tokens):
            raise Unexplained(self._parting(counts, tokens))
        return int(counts.sum())

    def _decoded_size(self, tokens: Sequence[int]) -> int:
        text = self.model.decode(tokens)
        if REPLACEMENT in text:  # it takes three bytes, but stands for one: have every byte say "A" instead
            text = self.model.decode([self._letter if self.model.is_byte(token) else token for token in tokens])
        return _size(text)

    @cached_property
    def _letter(self) -> int:
        return self.model.piece_to_id("<0x41>")

    def _parting(self, counts: np.ndarray, tokens: Sequence[int]) -> str:
        """Which token is counted wrongly: found by halving, so the first one unless errors cancel out."""
        right, wrong = 0, len(tokens)
        while wrong - right > 1:
            middle = (right + wrong) // 2
            if counts[:middle].sum() == self._decoded_size(tokens[:middle]):
                right = middle
            else:
                wrong = middle
        piece = self.model.id_to_piece(tokens[right])
        previous = self.model.id_to_piece(tokens[right - 1] if right else self.model.bos_id())
        decoded = self._decoded_size(tokens[:wrong]) - self._decoded_size(tokens[:right])
        return (
            f"token {wrong}, {piece!r} after {previous!r}, counts {counts[right]} bytes in the table, "
            f"but adds {decoded} to the decoded text"
        )

    def _normalised(self, text: str, decoded: str) -> Iterator[tuple[str, str]]:
        """What became what, in order: stretches that make up all of the text, and all of the decoded one."""
        normalised, origins = self.model.normalize(text, with_offsets=True)
        if self._has_dummy_prefix and normalised:
            normalised, origins = normalised[1:], origins[1:]
        normalised = normalised.replace(SPACE, " ")
        if decoded != normalised:
            alike = takewhile(lambda pair: pair[0] == pair[1], zip(decoded, normalised, strict=False))
            at = len(list(alike))
            raise Unexplained(
                f"the decoded text goes on at character {at} with {decoded[at : at + EXCERPT]!r}, "
                f"the normalised text with {normalised[at : at + EXCERPT]!r}"
            )
        yield text[: origins[0]], ""
        stretches = groupby(zip(origins, [*normalised, ""], strict=True), itemgetter(0))
        new = [(origin, "".join(character for _, character in stretch)) for origin, stretch in stretches]
        for (start, characters), (end, _) in pairwise([*new, (len(text), "")]):
            yield text[start:end], characters

    @cached_property
    def _has_dummy_prefix(self) -> bool:
        """Whether normalisation puts a space before a text, which decoding takes away again."""
        return self.model.normalize("a").startswith(SPACE)


def _visible(text: str) -> str:
    return text.replace(SPACE, " ").strip()


def _size(text: str) -> int:
    return len(text.encode())
