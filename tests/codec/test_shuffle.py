"""The record's byte shuffle."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golf.codec.base import CodecError
from golf.codec.shuffle import shuffle, unshuffle

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures" / "codec.json").read_text())


def test_shuffles_as_the_record_does() -> None:
    raw = bytes(i * 7 % 251 for i in range(100003))
    assert hashlib.sha256(raw).hexdigest() == GOLDEN["raw_sha256"]
    shuffled = shuffle(raw)
    assert len(shuffled) == GOLDEN["shuffled_len"]
    assert shuffled[:16].hex() == GOLDEN["shuffled_head_hex"]
    assert hashlib.sha256(shuffled).hexdigest() == GOLDEN["shuffled_sha256"]


@given(st.binary(max_size=300))
@example(b"")
@example(b"x")
def test_unshuffle_undoes_shuffle(data: bytes) -> None:
    assert unshuffle(shuffle(data)) == data


@pytest.mark.parametrize("data", [b"", b"BSHF", b"BSHF\x04abcd", b"abcdefgh"])
def test_refuses_bytes_that_were_not_shuffled(data: bytes) -> None:
    with pytest.raises(CodecError, match="BSHF"):
        unshuffle(data)
