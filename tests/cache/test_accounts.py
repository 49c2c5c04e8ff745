"""A byte account is made once for the same tokens, counts and tokenizer."""

import numpy as np
import pytest
from data.counting import Counting, train, with_unused

from golf.cache.accounts import FILE, byte_account
from golf.cache.entries import Entry
from golf.data.accounting import Unexplained
from golf.utils.atomic import write_json


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "golf" / "accounts"


@pytest.fixture
def counting(tmp_path):
    return Counting(train(tmp_path / "tok.model"))


def account(counting, tokens):
    return byte_account(counting.path, tokens, counting.table.target_bytes(tokens))


def kept(root):
    return [path for path in root.iterdir() if path.is_dir()]


def test_the_second_one_is_the_first(root, counting):
    tokens = counting.tokens("the dog", "fox")
    first = account(counting, tokens)
    assert first == counting.of_stream(tokens) == account(counting, tokens)
    (entry,) = kept(root)
    Entry(entry).fill(lambda directory: write_json(directory / FILE, first | {"documents": 99}))
    assert account(counting, tokens)["documents"] == 99
    (entry / FILE).write_text("{}")  # damaged
    assert account(counting, tokens) == first
    assert account(counting, tokens[:-1]) != first
    assert len(kept(root)) == 2
    with_unused(counting.path, "▁the")
    with pytest.raises(Unexplained):
        byte_account(counting.path, tokens, counting.table.target_bytes(tokens))


def test_what_is_refused_is_not_kept(root, counting):
    tokens = counting.tokens("the dog")
    wrong = counting.with_table(base_bytes=counting.table.base_bytes + 1)
    account(counting, tokens)
    for _ in range(2):
        with pytest.raises(Unexplained):
            account(wrong, tokens)
    assert len(kept(root)) == 1


def test_without_a_cache_it_is_made_again(root, counting):
    root.parents[1].write_text("a file")
    tokens = np.array(counting.tokens("the dog"))
    assert account(counting, tokens)["text_bytes"] == 7
