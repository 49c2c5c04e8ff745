"""Accounts for the bytes that a tokenizer's normalisation adds or removes: white space, and other characters.

The decoded text must be what SentencePiece's own normaliser makes of the document (SP8192's, `nmt_nfkc`, also writes
"½" as "1⁄2"). Anything else is Unexplained.
"""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import groupby, pairwise, takewhile
from operator import add, itemgetter

import numpy as np

from golf.data.accounting import Accountant, Unexplained
from golf.data.tokenizer import SPACE, ByteTable

EXCERPT = 20  # characters of a text that a message shows


@dataclass(frozen=True)
class TextAccount:
    """Of one document or, added up, of many: counted = text + white_space + characters.

    Bytes are UTF-8. White space is `str.isspace`, and "▁", which SentencePiece treats as a space.
    """

    documents: int = 0
    tokens: int = 0  # the control token before each document included
    counted: int = 0  # bytes by the table, which are those of the decoded text
    text: int = 0  # bytes of the documents
    white_space: int = 0  # bytes that normalisation added by changing white space into other white space or nothing
    characters: int = 0  # bytes that all its other changes added
    respaced: int = 0  # documents with a change of white space
    rewritten: int = 0  # documents with another change

    def __add__(self, other: "TextAccount") -> "TextAccount":
        return TextAccount(*map(add, astuple(self), astuple(other)))


def account_text(accountant: Accountant, table: ByteTable, start: int, text: str, name: str) -> TextAccount:
    """The account of one document, which must have a UTF-8 form, after the control token `start`.

    Raises Unexplained, whose message begins with `name`.
    """
    ids = accountant.model.encode(text)
    tokens = np.array([start, *ids])
    counted = accountant.of_document(tokens, np.append(0, table.target_bytes(tokens)), name)
    stretches = _normalised(accountant, text, accountant.model.decode(ids), name)
    changes = [(old, new) for old, new in stretches if old != new]
    respaced = [change for change in changes if not _visible("".join(change))]
    white_space = sum(_size(new) - _size(old) for old, new in respaced)
    return TextAccount(
        documents=1,
        tokens=len(tokens),
        counted=counted,
        text=_size(text),
        white_space=white_space,
        characters=counted - _size(text) - white_space,
        respaced=int(len(respaced) > 0),
        rewritten=int(len(respaced) < len(changes)),
    )


def _normalised(accountant: Accountant, text: str, decoded: str, name: str) -> Iterator[tuple[str, str]]:
    """Pairs of stretches of the text and of the decoded text, in order, which cover both."""
    normalised, origins = accountant.model.normalize(text, with_offsets=True)
    if accountant.has_dummy_prefix and normalised:
        normalised, origins, decoded = normalised[1:], origins[1:], decoded.removeprefix(SPACE)
    normalised, decoded = (written.replace(SPACE, " ") for written in (normalised, decoded))
    if decoded != normalised:
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(decoded, normalised, strict=False))
        at = len(list(alike))
        raise Unexplained(
            f"{name}: the decoded text continues at character {at} with {decoded[at : at + EXCERPT]!r}, "
            f"the normalised text with {normalised[at : at + EXCERPT]!r}"
        )
    yield text[: origins[0]], ""
    stretches = groupby(zip(origins, [*normalised, ""], strict=True), itemgetter(0))
    new = [(origin, "".join(character for _, character in stretch)) for origin, stretch in stretches]
    for (start, characters), (end, _) in pairwise([*new, (len(text), "")]):
        yield text[start:end], characters


def _visible(text: str) -> str:
    return text.replace(SPACE, " ").strip()


def _size(text: str) -> int:
    return len(text.encode())
