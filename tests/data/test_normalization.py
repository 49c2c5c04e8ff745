"""Documents against their text: every change of it is explained, and what is not is found."""

import json
import unicodedata

import pytest
from data.counting import TEXT, Counting, train
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.data.accounting import Unexplained
from golf.data.fixture import Fixture
from golf.data.prep.normalization import TextAccount
from golf.data.prep.prepare import Settings, train_tokenizer
from golf.events import Listener

SHIPPED = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
EXACT = ("small", "shipped")  # made by golf.data.prep.prepare: decoding gives back the text
ALL = (*EXACT, "sp8192", "phrases")

SPACES = ["▁", " ", "   ", "\t", "\n\n", "\r\n", "\u00a0", "\u3000", "\u2028", "\x0b", "\x1c", "\x85"]
CHANGED = ["½", "…", "ﬁ", "™", "℃", "´", "ｶﾞ", "e\u0301"]
CONTROLS = ["\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\ufffd", "\U000e0001"]
PLAIN = ["the", " dog", "the lazy dog", "x", "日本", "ж", "😀", "👩‍👩‍👧", "ȩ\u0323\u0301"]
fuzz = settings(deadline=None)
anything = st.lists(st.text(max_size=8) | st.sampled_from(SPACES + CHANGED + CONTROLS + PLAIN), max_size=12).map(
    "".join
)


@pytest.fixture(scope="module")
def counting(tmp_path_factory, sp8192):
    made = tmp_path_factory.mktemp("made")
    small = Settings(vocab_size=300, character_coverage=1.0, split_digits=True, train_shards=1)
    (made / "small").write_bytes(train_tokenizer([TEXT], small))
    phrases = train(made / "phrases", split_by_whitespace=False, vocab_size=350)  # and it puts a space before the text
    paths = {"small": made / "small", "shipped": SHIPPED.tokenizer, "sp8192": sp8192, "phrases": phrases}
    return {name: Counting(path) for name, path in paths.items()}


def size(text: str) -> int:
    return len(text.encode())


def test_a_piece_of_several_words(counting):
    model = counting["phrases"].model
    assert "▁lazy▁dog" in model.encode("the lazy dog", out_type=str)
    assert counting["phrases"].of_text("the lazy dog").counted == 12


@pytest.mark.parametrize("name", ALL)
@fuzz
@given(text=anything)
def test_any_text_is_counted_and_explained(counting, name, text):
    model = counting[name].model
    account = counting[name].of_text(text)
    ids = model.encode(text)
    assert account.counted == size(model.decode(ids)) == account.text + account.white_space + account.characters
    assert account.text == size(text)
    assert (account.respaced or account.rewritten) == (model.decode(ids) != text)


@pytest.mark.parametrize("name", EXACT)
@fuzz
@given(text=anything)
def test_our_tokenizer_changes_only_what_it_takes_for_a_space(counting, name, text):
    account = counting[name].of_text(text)
    assert (account.characters, account.rewritten) == (0, 0)
    assert account.white_space == -2 * text.count("▁")
    assert account.respaced == ("▁" in text)


@pytest.mark.parametrize("name", ["sp8192", "phrases"])
@fuzz
@given(
    parts=st.lists(st.sampled_from([" ", "▁", "\t", "\n ", "\u3000", "the", "x", "日", "😀", *CHANGED]), max_size=20)
)
def test_the_record_s_tokenizer_does_nfkc_and_single_spaces(counting, name, parts):
    account = counting[name].of_text("".join(parts))
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
    counting, text, white_space, characters, respaced, rewritten
):
    account = counting["sp8192"].of_text(text)
    assert (account.white_space, account.characters) == (white_space, characters)
    assert (account.respaced, account.rewritten) == (respaced, rewritten)


def test_documents_of_fineweb(counting, sp8192_documents):
    texts = [json.loads(line)["text"] for line in sp8192_documents.read_text().splitlines()]
    accounts = [counting["sp8192"].of_text(text) for text in texts]
    assert sum(accounts, TextAccount()) == TextAccount(
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


def test_a_tokenizer_that_decodes_to_other_characters(tmp_path):
    (tmp_path / "rules.tsv").write_text("64\t44\n")  # d to D
    other = Counting(train(tmp_path / "model", denormalization_rule_tsv=str(tmp_path / "rules.tsv")))
    with pytest.raises(Unexplained, match=r"^here: .*decoded text continues at character 4 with 'Dog', .* 'dog'$"):
        other.of_text("the dog")
