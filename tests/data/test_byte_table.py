"""Bytes per token: the rules on a vocabulary made by hand, and whole documents against their decoded text."""

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from golf.data.fixture import Fixture
from golf.data.shard import read_shard
from golf.data.tokenizer import read_byte_table
from golf.errors import UserError
from golf.events import Listener

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
PIECES = [("<pad>", CONTROL), ("<s>", CONTROL), ("<unk>", UNKNOWN)]
PIECES += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
PIECES += [("▁", NORMAL), ("▁the", NORMAL), ("é", NORMAL), ("▁日本", NORMAL), ("old", UNUSED), ("▁x▁y", USER_DEFINED)]
ID = {piece: index for index, (piece, _) in enumerate(PIECES)}


def _varint(number):
    return bytes([number & 127 | 128]) + _varint(number >> 7) if number > 127 else bytes([number])


def _message(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """A model file, written as the protocol buffer that it is: pieces, and a BPE trainer with byte fallback."""
    model = [_message(1, _message(1, piece.encode()) + _varint(3 << 3) + _varint(kind)) for piece, kind in PIECES]
    model.append(_message(2, _varint(3 << 3) + _varint(2) + _varint(35 << 3) + _varint(1)))
    path = tmp_path_factory.mktemp("model") / "hand.model"
    path.write_bytes(b"".join(model))
    return read_byte_table(path)


def test_vocabulary(by_hand):
    assert by_hand.vocab_size == len(PIECES)
    assert by_hand.base_bytes.dtype == np.int16
    boundaries = {PIECES[index][0] for index in np.flatnonzero(by_hand.is_boundary)}
    assert boundaries == {"<pad>", "<s>", "<unk>", "old"}


@pytest.mark.parametrize(
    ("previous", "target", "expected"),
    [
        ("é", "▁the", 4),
        ("<s>", "▁the", 3),
        ("<unk>", "▁the", 3),
        ("old", "▁the", 3),
        ("<0x41>", "▁the", 4),  # a byte is text
        ("é", "▁", 1),
        ("<s>", "▁", 0),
        ("é", "é", 2),
        ("<s>", "é", 2),
        ("é", "▁日本", 7),
        ("é", "<0xE3>", 1),
        ("é", "<s>", 0),
        ("é", "<unk>", 0),
        ("é", "old", 0),
        ("é", "▁x▁y", 4),  # "▁" inside a piece is a space too
    ],
)
def test_rules(by_hand, previous, target, expected):
    assert by_hand.bytes_of(np.array([ID[previous]]), np.array([ID[target]])).tolist() == [expected]


def test_bytes_of_keeps_shape_and_counts_in_int64(by_hand):
    ids = np.full((2, 3), ID["▁日本"], np.uint16)
    counted = by_hand.bytes_of(ids, ids)
    assert counted.dtype == np.int64
    assert counted.tolist() == [[7, 7, 7], [7, 7, 7]]


def test_every_document_of_the_fixture_counts_its_decoded_text():
    dataset = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
    model = SentencePieceProcessor(model_file=str(dataset.tokenizer))
    for files in (dataset.train_files, dataset.val_files):
        stream = np.concatenate([read_shard(file) for file in files])
        counted = dataset.byte_table.bytes_of(stream[:-1], stream[1:])
        starts = np.flatnonzero(stream == model.bos_id())
        assert starts[0] == 0
        assert len(starts) > 1
        for start, end in zip(starts, [*starts[1:], len(stream)], strict=True):
            text = model.decode(stream[start + 1 : end].tolist())
            assert counted[start : end - 1].sum() == len(text.encode())


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_what_is_no_model_is_named(tmp_path, content):
    path = tmp_path / "some.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"some\.model: cannot be read as a SentencePiece model"):
        read_byte_table(path)
