"""Tokenizer and shards made from text: nothing is lost, and the bytes add up."""

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from data.counting import Counting
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from golf.data.fixture import Fixture
from golf.data.prep import corpus
from golf.data.prep.normalization import TextAccount
from golf.data.prep.prepare import Settings, prepare, train_tokenizer
from golf.data.prepared import open_prepared
from golf.data.shard import read_shard
from golf.errors import UserError
from golf.events import Listener

TRAIN, VAL = ([document.text for document in side] for side in corpus.split(corpus.documents(800_000), 0.1))
SETTINGS = Settings(vocab_size=1024, character_coverage=0.98, split_digits=True, train_shards=2)
FIXTURE = Fixture(val_tokens=None, seed=None, order="global")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prepared")
    prepare(directory, TRAIN, VAL, SETTINGS, Listener())
    return open_prepared(directory, FIXTURE)


@pytest.fixture(scope="module")
def model(prepared):
    return SentencePieceProcessor(model_file=str(prepared.tokenizer))


def test_shards_hold_every_text_to_the_byte(prepared, model):
    for files, texts in ((prepared.train_files, TRAIN), (prepared.val_files, VAL)):
        stream = np.concatenate([read_shard(file) for file in files])
        counted = prepared.byte_table.bytes_of(stream[:-1], stream[1:])
        starts = [*np.flatnonzero(stream == 1), len(stream)]
        assert len(starts) == len(texts) + 1
        for text, start, end in zip(texts, starts, starts[1:], strict=False):
            assert model.decode(stream[start + 1 : end].tolist()) == text
            assert counted[start : end - 1].sum() == len(text.encode())


def test_the_byte_accounts_of_every_document_balance(prepared):
    total = reduce(add, map(Counting(prepared.tokenizer).of_text, TRAIN + VAL))
    tokens = sum(len(read_shard(file)) for file in (*prepared.train_files, *prepared.val_files))
    size = sum(len(text.encode()) for text in TRAIN + VAL)
    assert total == TextAccount(documents=len(TRAIN + VAL), tokens=tokens, counted=size, text=size)


def test_several_training_shards_of_one_size(prepared):
    first, second = (len(read_shard(file)) for file in prepared.train_files)
    assert abs(first - second) <= 1


def test_ids_and_pieces_are_as_in_the_field(model):
    assert model.vocab_size() == 1024
    assert (model.pad_id(), model.bos_id(), model.eos_id(), model.unk_id()) == (0, 1, 2, 3)
    assert [model.is_byte(index) for index in range(4, 261)] == [True] * 256 + [False]
    pieces = [model.id_to_piece(index) for index in range(260, 1024)]
    assert "▁" in pieces
    assert not [piece for piece in pieces if "▁" in piece[1:]]
    assert not [piece for piece in pieces if any(digit.isdigit() for digit in piece) and len(piece) > 1]


def test_indentation_costs_a_piece_a_space(model):
    assert model.encode("if a:\n        b", out_type=str)[-9:] == ["<0x0A>", *["▁"] * 7, "▁b"]


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=60))
def test_any_text_comes_back_and_its_bytes_add_up(prepared, model, text):
    ids = model.encode(text)
    assert model.decode(ids) == text
    assert (
        prepared.byte_table.bytes_of(np.array([1, *ids[:-1]]), np.array(ids, int)).sum() == len(text.encode())
        if ids
        else text == ""
    )


def test_the_tokenizer_is_the_same_again(prepared):
    assert train_tokenizer(TRAIN, SETTINGS) == prepared.tokenizer.read_bytes()


def test_other_settings(tmp_path):
    texts = ["año 1999, año 1999 " * 50, "1999 é " * 50]
    settings = Settings(vocab_size=285, character_coverage=1.0, split_digits=False, train_shards=3)
    prepare(tmp_path, texts, texts, settings, Listener())
    opened = open_prepared(tmp_path, FIXTURE)
    assert len(opened.train_files) == 3
    model = SentencePieceProcessor(model_file=str(opened.tokenizer))
    pieces = [model.id_to_piece(index) for index in range(260, 285)]
    assert any("99" in piece for piece in pieces)
    assert {"ñ", "é"} <= set(pieces)


@pytest.mark.parametrize("change", [{"train_shards": 0}, {"character_coverage": 0.5}, {"character_coverage": 1.01}])
def test_settings_out_of_range(change):
    ((key, value),) = change.items()
    with pytest.raises(UserError, match=rf"data\.{key}={value} must be"):
        replace(SETTINGS, **change)


def test_the_fixture_is_small_and_made_this_way():
    fixture = FIXTURE.open(Listener())
    files = list(fixture.tokenizer.parent.iterdir())
    assert sum(file.stat().st_size for file in files) < 250_000
    assert fixture.tokenizer.stat().st_size < 20_000
    assert len(fixture.train_files) == 2
    assert fixture.vocab_size == 320


@pytest.mark.parametrize("vocab_size", [10, 50_000])
def test_an_impossible_vocabulary_is_named(vocab_size):
    with pytest.raises(UserError, match=rf"data\.vocab_size: no tokenizer of {vocab_size} pieces can be trained"):
        train_tokenizer(VAL[:2], replace(SETTINGS, vocab_size=vocab_size))
