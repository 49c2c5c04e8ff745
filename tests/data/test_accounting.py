"""Byte accounts: what is counted is what is decoded, every change of the text is explained, and errors are found."""

import json
import unicodedata
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from golf.data.accounting import Account, Accountant, Unexplained, documents
from golf.data.fixture import Fixture
from golf.data.prepare import Settings, train_tokenizer
from golf.data.shard import read_shard
from golf.data.tokenizer import read_byte_table
from golf.events import Listener

TEXT = "the quick brown fox jumps over the lazy dog and then the dog jumps over the fox again " * 4
SHIPPED = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
EXACT = ("small", "shipped")  # made by golf.data.prepare: decoding gives back the text
ALL = (*EXACT, "sp8192", "phrases")

SPACES = ["▁", " ", "   ", "\t", "\n\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x0b", "\x1c", "\x85"]
CHANGED = ["½", "…", "ﬁ", "™", "℃", "´", "ｶﾞ", "e\u0301"]
CONTROLS = ["\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\ufffd", "\U000e0001"]
PLAIN = ["the", " dog", "the lazy dog", "x", "日本", "ж", "😀", "👩‍👩‍👧", "ȩ\u0323\u0301"]
fuzz = settings(deadline=None)
anything = st.lists(st.text(max_size=8) | st.sampled_from(SPACES + CHANGED + CONTROLS + PLAIN), max_size=12).map(
    "".join
)


def accountant(path) -> Accountant:
    return Accountant(SentencePieceProcessor(model_file=str(path)), read_byte_table(path))


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Trains a small tokenizer with SentencePiece's own defaults, but for what is given."""

    def trained(**settings):
        path = tmp_path_factory.mktemp("trained") / "tokenizer.model"
        settings = {"byte_fallback": True, "vocab_size": 290, "model_type": "bpe", "minloglevel": 2} | settings
        with open(path, "wb") as file:
            SentencePieceTrainer.train(sentence_iterator=iter([TEXT]), model_writer=file, **settings)
        return accountant(path)

    return trained


@pytest.fixture(scope="module")
def accountants(tmp_path_factory, sp8192, train):
    small = tmp_path_factory.mktemp("small") / "tokenizer.model"
    settings = Settings(vocab_size=300, character_coverage=1.0, split_digits=True, train_shards=1)
    small.write_bytes(train_tokenizer([TEXT], settings))
    return {
        "small": accountant(small),
        "shipped": accountant(SHIPPED.tokenizer),
        "sp8192": accountant(sp8192),
        "phrases": train(split_by_whitespace=False, vocab_size=350),  # and it puts a space before the text
    }


def size(text: str) -> int:
    return len(text.encode())


def test_a_piece_of_several_words(accountants):
    model = accountants["phrases"].model
    assert "▁lazy▁dog" in model.encode("the lazy dog", out_type=str)
    assert accountants["phrases"].of_text("the lazy dog").counted == 12


@pytest.mark.parametrize("name", ALL)
@fuzz
@given(text=anything)
def test_any_text_is_counted_and_explained(accountants, name, text):
    model = accountants[name].model
    account = accountants[name].of_text(text)
    ids = model.encode(text)
    assert account.counted == size(model.decode(ids)) == account.text + account.white_space + account.characters
    assert account.text == size(text)
    assert (account.respaced or account.rewritten) == (model.decode(ids) != text)
    tokens = np.array([model.bos_id(), *ids], np.uint16)
    assert accountants[name].of_tokens(tokens) == Account(documents=1, tokens=account.tokens, counted=account.counted)


@pytest.mark.parametrize("name", EXACT)
@fuzz
@given(text=anything)
def test_our_own_tokenizer_changes_nothing_but_what_it_takes_for_a_space(accountants, name, text):
    account = accountants[name].of_text(text)
    assert (account.characters, account.rewritten) == (0, 0)
    assert account.white_space == -2 * text.count("▁")
    assert account.respaced == ("▁" in text)


@pytest.mark.parametrize("name", ["sp8192", "phrases"])
@fuzz
@given(
    parts=st.lists(st.sampled_from([" ", "▁", "\t", "\n ", "\u3000", "the", "x", "日", "😀", *CHANGED]), max_size=20)
)
def test_the_record_s_tokenizer_does_nfkc_and_single_spaces(accountants, name, parts):
    account = accountants[name].of_text("".join(parts))
    spaced = " ".join("".join(parts).replace("▁", " ").split())
    assert account.counted == size(" ".join(unicodedata.normalize("NFKC", spaced).split()))
    if not set(parts) & set(CHANGED):
        assert account.white_space == size(spaced) - size("".join(parts))
        assert account.rewritten == 0


@pytest.mark.parametrize(
    ("text", "white_space", "characters", "respaced", "rewritten"),
    [
        ("", 0, 0, 0, 0),
        ("a b", 0, 0, 0, 0),
        ("a\nb", 0, 0, 1, 0),
        (" a \n", -3, 0, 1, 0),
        ("  ", -2, 0, 1, 0),
        ("a\u3000▁b", -5, 0, 1, 0),
        ("1 ½…", 0, 3, 0, 1),
        ("…", 0, 0, 0, 1),
        ("a´s\tb", 0, 1, 1, 1),
        ("a\u200bb", 0, -2, 0, 1),  # no white space to Unicode
        ("\x01a", 0, -1, 0, 1),
        ("e\u0301", 0, -1, 0, 1),
    ],
)
def test_changes_of_white_space_and_of_others_are_told_apart(
    accountants, text, white_space, characters, respaced, rewritten
):
    account = accountants["sp8192"].of_text(text)
    assert (account.white_space, account.characters) == (white_space, characters)
    assert (account.respaced, account.rewritten) == (respaced, rewritten)


def test_documents_of_fineweb(accountants, sp8192_documents):
    texts = [json.loads(line)["text"] for line in sp8192_documents.read_text().splitlines()]
    accounts = [accountants["sp8192"].of_text(text) for text in texts]
    assert sum(accounts, Account()) == Account(
        documents=10,
        tokens=4991,
        counted=15269,
        text=15264,
        white_space=-1,
        characters=6,
        respaced=9,
        rewritten=8,
    )
    for text, account in zip(texts, accounts, strict=True):
        assert account.counted == size(" ".join(unicodedata.normalize("NFKC", text).split()))


@pytest.mark.parametrize("name", ALL)
@fuzz
@given(data=st.data())
def test_bytes_that_are_no_characters_count_as_bytes(accountants, name, data):
    model = accountants[name].model
    tokens = model.encode(data.draw(anything))
    for byte in data.draw(st.lists(st.integers(0, 255), max_size=6)):
        tokens.insert(data.draw(st.integers(0, len(tokens))), model.piece_to_id(f"<0x{byte:02X}>"))
    pieces = ["A" if model.is_byte(token) else model.id_to_piece(token).replace("▁", " ") for token in tokens]
    first = pieces[0].startswith(" ") if pieces else False
    assert accountants[name].of_tokens(np.array(tokens, int)).counted == size("".join(pieces)) - first


@pytest.mark.parametrize("name", ALL)
def test_a_document_can_be_cut_anywhere(accountants, name):
    tokens = np.array(accountants[name].model.encode("the dog 日本, \n 😀 the\ufffdé"), np.uint16)
    whole = accountants[name].of_tokens(tokens)
    for cut in range(1, len(tokens)):
        first, second = (accountants[name].of_tokens(part) for part in (tokens[:cut], tokens[cut:]))
        space = accountants[name].model.id_to_piece(int(tokens[cut])).startswith("▁")
        assert first.counted + second.counted + space == whole.counted


def test_the_shipped_shards_document_by_document(accountants):
    for files in (SHIPPED.train_files, SHIPPED.val_files):
        stream = np.concatenate([read_shard(file) for file in files])
        total = reduce(add, map(accountants["shipped"].of_tokens, documents(stream, 1)))
        assert total.documents == (stream == 1).sum()
        assert total.tokens == len(stream)
        assert total.counted == SHIPPED.byte_table.bytes_of(stream[:-1], stream[1:]).sum()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ([1, 5, 6, 1, 7], [[1, 5, 6], [1, 7]]),
        ([5, 6, 1, 7], [[5, 6], [1, 7]]),
        ([1, 1, 5, 1], [[1], [1, 5], [1]]),
        ([5], [[5]]),
        ([], []),
    ],
)
def test_a_stream_is_split_at_bos(stream, expected):
    assert [document.tolist() for document in documents(np.array(stream, np.uint16), 1)] == expected


def test_an_eos_may_end_a_document_but_not_stand_inside(accountants):
    shipped = accountants["shipped"]
    words, eos = shipped.model.encode("the the"), shipped.model.eos_id()
    assert shipped.of_tokens(np.array([1, *words, eos])).counted == 7
    with pytest.raises(Unexplained, match=r"^token 4, '▁the' after '</s>', counts 3 bytes in the table, but adds 4 to"):
        shipped.of_tokens(np.array([1, *words, eos, *words]))


def _space_as_three_bytes(model, table):
    return replace(table, base_bytes=table.base_bytes + 2 * table.has_leading_space)


def _no_boundary(model, table):
    return replace(table, is_boundary=np.zeros_like(table.is_boundary))


def _bytes_as_their_names(model, table):
    names = [len("<0x41>") if model.is_byte(i) else 0 for i in range(table.vocab_size)]
    return replace(table, base_bytes=np.maximum(table.base_bytes, names))


def _characters_for_bytes(model, table):
    lengths = [len(model.id_to_piece(i).removeprefix("▁")) for i in range(table.vocab_size)]
    return replace(table, base_bytes=np.minimum(table.base_bytes, lengths))


@pytest.mark.parametrize(
    ("broken", "name", "text", "message"),
    [
        (_space_as_three_bytes, "shipped", "the the", "token 1, '▁the' after '<s>', counts 5 bytes .*, but adds 3 to"),
        (_space_as_three_bytes, "sp8192", "the the", "token 2, '▁the' after 'the', counts 6 bytes .*, but adds 4 to"),
        (_no_boundary, "shipped", "the the", "token 1, '▁the' after '<s>', counts 4 bytes .*, but adds 3 to"),
        (_bytes_as_their_names, "shipped", "the\nthe", "token 2, '<0x0A>' after '▁the', counts 6 bytes .*, but adds 1"),
        (
            _bytes_as_their_names,
            "sp8192",
            "the\U0001f9a5",
            "token 2, '<0xF0>' after 'the', counts 6 bytes .*, but adds 1",
        ),
        (_characters_for_bytes, "sp8192", "don’t", "token 3, '’' after 'on', counts 1 bytes .*, but adds 3 to"),
    ],
)
def test_a_wrong_table_is_found_with_its_place(accountants, broken, name, text, message):
    right = accountants[name]
    wrong = Accountant(right.model, broken(right.model, right.table))
    tokens = np.array([1, *right.model.encode(text)])
    for check in (lambda: wrong.of_text(text), lambda: wrong.of_tokens(tokens)):
        with pytest.raises(Unexplained, match=rf"^{message}"):
            check()


def test_a_piece_that_is_one_byte_off_is_found_in_fineweb(accountants, sp8192_documents):
    text = json.loads(sp8192_documents.read_text().splitlines()[-1])["text"]
    right = accountants["sp8192"]
    token = right.model.piece_to_id("▁taxes")
    wrong = Accountant(right.model, replace(right.table, base_bytes=right.table.base_bytes.copy()))
    wrong.table.base_bytes[token] += 1
    first = right.model.encode(text).index(token) + 1
    with pytest.raises(Unexplained, match=rf"^token {first}, '▁taxes' after '.*', counts 7 bytes in the table"):
        wrong.of_text(text)


def test_a_tokenizer_whose_leading_space_is_text_is_found(train):
    """The byte table takes the first word's space for the model's own, and would count a byte too few."""
    exact = train(normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False)
    assert exact.of_text("the dog").counted == 7
    with pytest.raises(
        Unexplained, match=r"^token 1, '▁\w*' after '<s>', counts \d bytes in the table, but adds \d to"
    ):
        exact.of_text(" the dog")


def test_a_tokenizer_that_loses_characters_is_found(train):
    unknown = train(byte_fallback=False, vocab_size=50)
    assert unknown.of_text("the dog").counted == 7
    with pytest.raises(
        Unexplained, match=r"^token \d+, '<unk>' after '.*', counts 0 bytes in the table, but adds 5 to"
    ):
        unknown.of_text("the 日 dog")
    silent = train(byte_fallback=False, vocab_size=50, unk_surface="")
    with pytest.raises(Unexplained, match=r"goes on at character 3 with 'dog', the normalised text with '日dog'"):
        silent.of_text("the日dog")
