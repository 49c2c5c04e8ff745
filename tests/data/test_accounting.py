"""The byte account of a stream: the bytes of the text, by decoding it, and a line about what has none."""

import numpy as np
import pytest
from data.counting import Counting, train, with_unused, without_space_piece
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.data.accounting import Accountant, Unexplained
from golf.data.fixture import Fixture
from golf.data.shard import read_shard
from golf.events import Listener

SHIPPED = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
EXACT = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
SYMBOLS = {"user_defined_symbols": ["<x>", "▁of▁the", "é"], "control_symbols": ["<sep>"], "vocab_size": 300}
TOKENIZERS = {
    "usual": {},
    "exact": EXACT,
    "no dummy prefix": {"add_dummy_prefix": False},
    "exact without dummy prefix": {**EXACT, "add_dummy_prefix": False},
    "symbols": SYMBOLS,
    "exact with symbols": {**EXACT, **SYMBOLS},
    "phrases": {"split_by_whitespace": False, "vocab_size": 350},
    "suffix": {"treat_whitespace_as_suffix": True, "add_dummy_prefix": False},
    "no fallback": {"byte_fallback": False, "vocab_size": 50},
    "unigram": {"model_type": "unigram", "vocab_size": 287},
}
WORDS = ["the", "dog", "x", " ", "  ", "▁", "\n", "½", "日本", "é", "\ufffd", "<x>", "of the", "<sep>", "😀"]
texts = st.lists(st.text(max_size=4) | st.sampled_from(WORDS), max_size=8).map("".join)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory, sp8192):
    made = tmp_path_factory.mktemp("made")
    found = {name: train(made / name, **given) for name, given in TOKENIZERS.items()}
    for name in ("usual", "exact", "no dummy prefix", "phrases"):
        found[f"{name}, no space"] = without_space_piece(train(made / f"{name}, no space", **TOKENIZERS[name]))
    found |= {"sp8192": sp8192, "shipped": SHIPPED.tokenizer}
    return {name: Counting(path) for name, path in found.items()}


def size(text: str) -> int:
    return len(text.encode())


def normalised(counting: Counting, text: str) -> str:
    text = counting.model.normalize(text)
    return (text.removeprefix("▁") if counting.accountant.has_dummy_prefix else text).replace("▁", " ")


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_what_is_accepted_is_the_normalised_text(tokenizers, data):
    """Refused is what has no text or a character that the tokenizer does not know, or begins with a space of its own
    that the byte table takes for the tokenizer's."""
    counting = tokenizers[data.draw(st.sampled_from(list(tokenizers)))]
    documents = data.draw(st.lists(texts, min_size=1, max_size=3))
    tokens, expected = counting.tokens(*documents), [normalised(counting, text) for text in documents]
    own_space = not counting.accountant.has_dummy_prefix and any(text.startswith(" ") for text in expected)
    if own_space or counting.model.unk_id() in tokens or not any(expected):
        with pytest.raises(Unexplained):
            counting.of_stream(tokens)
    else:
        assert counting.of_stream(tokens) == {
            "documents": sum(text != "" for text in expected),
            "tokens": len(tokens),
            "table_bytes": size("".join(expected)),
            "text_bytes": size("".join(expected)),
            "verdict": "pass",
        }


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_stream_can_be_cut_anywhere(tokenizers, data):
    """Bytes that are no whole character count one each; the three of a space count one."""
    counting = tokenizers[data.draw(st.sampled_from(["usual", "exact, no space", "shipped", "sp8192"]))]
    stray = st.integers(0, 255).map(lambda byte: [counting.model.piece_to_id(f"<0x{byte:02X}>")])
    parts = data.draw(st.lists(texts.map(counting.tokens) | stray, min_size=1, max_size=6))
    tokens = np.concatenate([counting.tokens("x the x"), *parts]).astype(np.uint16)
    start = data.draw(st.integers(0, len(tokens) - 2))
    end = data.draw(st.integers(start + 2, len(tokens)))
    whole, cut = counting.table.target_bytes(tokens), counting.table.target_bytes(tokens[start:end])
    assert abs(whole[start : end - 1].sum() - cut.sum()) <= 4  # a "▁" or the space before a text, at each end
    if cut.any():
        assert counting.of_stream(tokens[start:end])["text_bytes"] == cut.sum()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ("<0xE2> <0x96> <0x81> x", [0, 0, 0, 1]),  # the tokenizer's own space before a text
        ("▁the <0xE2> <0x96> <0x81> x", [3, 1, 0, 0, 1]),
        ("<0xE2> <0x96> <0x81> <0xE2> <0x96> <0x81> x", [0, 0, 0, 1, 0, 0, 1]),
        ("▁the <0xE2> <0x96>", [3, 1, 1]),  # the end of the stream
        ("▁the <0x96> <0x81> <0xE2> <0x96> <0x80>", [3, 1, 1, 1, 1, 1]),
        ("<0xE2> <0x96> <0x81> </s> <0xE2> <0x96> <0x81>", [0, 0, 0, 0, 0, 0, 0]),
        ("x </s> <0x96> <0x81>", [1, 0, 1, 1]),
    ],
)
def test_a_space_in_bytes(tokenizers, pieces, expected):
    counting = tokenizers["usual, no space"]
    tokens = np.array([1, *map(counting.model.piece_to_id, pieces.split())])
    assert counting.table.target_bytes(tokens).tolist() == expected
    if any(expected):
        assert counting.of_stream(tokens)["text_bytes"] == sum(expected)


def test_a_stream_that_begins_in_a_space(tokenizers):
    counting = tokenizers["usual, no space"]
    for pieces, expected in {"<0xE2> <0x96> <0x81> x": [0, 0, 1], "<0x96> <0x81> x": [1, 1], "x ▁the": [4]}.items():
        tokens = np.array([*map(counting.model.piece_to_id, pieces.split())])
        assert counting.table.target_bytes(tokens).tolist() == expected
        assert counting.of_stream(tokens)["text_bytes"] == sum(expected)


def test_the_shipped_shards(tokenizers):
    for files, documents in ((SHIPPED.train_files, 13), (SHIPPED.val_files, 3)):
        stream = np.concatenate([read_shard(file) for file in files])
        account = tokenizers["shipped"].of_stream(stream)
        assert (account["documents"], account["tokens"]) == (documents, len(stream))
        published = SHIPPED.byte_table.bytes_of(stream[:-1], stream[1:])
        assert (published == SHIPPED.byte_table.target_bytes(stream)).all()
        assert published.sum() == account["text_bytes"]


@pytest.mark.parametrize("parting", ["{0} a {1}", "a {1}", "{0} {0} a", "{1} {0} a {1}", "{2} a {1} {2}", "a {0} {1}"])
def test_documents_are_parted_by_any_control_token(tokenizers, parting):
    counting = tokenizers["symbols"]
    controls = [[counting.model.piece_to_id(piece)] for piece in ("<s>", "</s>", "<sep>")]
    stream = []
    for text in ("the dog", "dog é the", " x"):
        for part in parting.split():
            stream += counting.model.encode(text) if part == "a" else controls[int(part[1])]
    account = counting.of_stream(np.array([1, *stream]))
    assert (account["documents"], account["text_bytes"]) == (3, 7 + 10 + 1)


@pytest.mark.parametrize("lost", ["token 2, '<unk>' after '▁'", "token 2, '▁dog' after '▁the'"])
@pytest.mark.parametrize("surface", [" ⁇ ", ""])  # what the unknown decodes to
def test_text_that_the_tokenizer_loses_is_refused(tmp_path, lost, surface):
    path = train(tmp_path / "tok.model", byte_fallback=False, vocab_size=50, unk_surface=surface)
    before = Counting(path).tokens("the fox", "fox")
    stream = np.append(before, Counting(path).tokens("日" if "unk" in lost else "the dog"))
    if "unk" not in lost:
        with_unused(path, "▁dog")  # after the shards were made
    assert Counting(path).of_stream(before)["documents"] == 2
    with pytest.raises(Unexplained) as caught:
        Counting(path).of_stream(stream)
    where = f"document 3, from token {len(before)} of the stream on"
    fault = "is unknown to the tokenizer or unused in it, so its text is lost: make the shards with another"
    assert str(caught.value) == f"{path}: {where}: {lost}, {fault}"


def test_what_has_no_bytes_to_divide_by(tokenizers, tmp_path):
    with pytest.raises(Unexplained, match=r"usual: the stream has no text, so there are no bits per byte$"):
        tokenizers["usual"].of_stream(np.array([1, 1, 2, 1]))
    suffix = train(tmp_path / "suffix", treat_whitespace_as_suffix=True)  # "the" decodes to "the "
    with pytest.raises(Unexplained, match=r"suffix: ends each text with a space that is not in it"):
        Accountant(suffix)


def test_a_leading_space_that_is_text_is_refused(tokenizers):
    """The byte table takes the first word's space for the model's own, and would count a byte too few."""
    exact = tokenizers["exact without dummy prefix"]
    assert exact.of_stream(exact.tokens("the dog"))["text_bytes"] == 7
    with pytest.raises(Unexplained, match=r"document 2, .*: token 1, '▁the' after '<s>', counts 3 bytes .* adds 4 to"):
        exact.of_stream(exact.tokens("the dog", " the dog"))


def _space_as_three_bytes(model, table):
    return {"base_bytes": table.base_bytes + 2 * table.has_leading_space}


def _no_boundary(model, table):
    return {"is_boundary": np.zeros_like(table.is_boundary)}


def _bytes_as_their_names(model, table):
    names = [len("<0x41>") if model.is_byte(i) else 0 for i in range(table.vocab_size)]
    return {"base_bytes": np.maximum(table.base_bytes, names)}


def _characters_for_bytes(model, table):
    lengths = [len(model.id_to_piece(i).removeprefix("▁")) for i in range(table.vocab_size)]
    return {"base_bytes": np.minimum(table.base_bytes, lengths)}


def _no_space_in_bytes(model, table):
    return {"space": (-1, -1, -1)}


@pytest.mark.parametrize(
    ("broken", "name", "text", "message"),
    [
        (_space_as_three_bytes, "shipped", "the the", "token 1, '▁the' after '<s>', counts 5 bytes .*, but adds 3 to"),
        (_space_as_three_bytes, "sp8192", "the the", "token 2, '▁the' after 'the', counts 6 bytes .*, but adds 4 to"),
        (_no_boundary, "shipped", "the the", "token 1, '▁the' after '<s>', counts 4 bytes .*, but adds 3 to"),
        (_bytes_as_their_names, "shipped", "the\nthe", "token 2, '<0x0A>' after '▁the', counts 6 bytes .*, but adds 1"),
        (_bytes_as_their_names, "sp8192", "the\U0001f9a5", "token 2, '<0xF0>' after 'the', counts 6 .*, but adds 1"),
        (_characters_for_bytes, "sp8192", "don’t", "token 3, '’' after 'on', counts 1 bytes .*, but adds 3 to"),
        (_no_space_in_bytes, "usual, no space", "the x", "token 4, '<0x81>' after '<0x96>', counts 1 bytes"),
    ],
)
def test_a_wrong_table_is_found_with_its_place(tokenizers, broken, name, text, message):
    right = tokenizers[name]
    wrong = right.with_table(**broken(right.model, right.table))
    for check in (lambda: wrong.of_text(text), lambda: wrong.of_document(right.tokens(text))):
        with pytest.raises(Unexplained, match=rf"^here: {message}"):
            check()
    with pytest.raises(Unexplained, match=rf": document 1, from token 0 of the stream on: {message}"):
        wrong.of_stream(right.tokens(text))


def test_a_piece_that_is_one_byte_off_is_found(tokenizers):
    right = tokenizers["sp8192"]
    text = "Some say that taxes rise, and others that taxes fall. " * 20
    token = right.model.piece_to_id("▁taxes")
    base_bytes = right.table.base_bytes.copy()
    base_bytes[token] += 1
    first = right.model.encode(text).index(token) + 1
    with pytest.raises(Unexplained, match=rf": token {first}, '▁taxes' after '.*', counts 7 bytes in the table"):
        right.with_table(base_bytes=base_bytes).of_stream(right.tokens("the dog", text))
