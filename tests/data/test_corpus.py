"""The text of the standard library: whole, told once, the same each time, split by family."""

import sys

import pytest

from golf.data.prep import corpus

CAP = 900_000
DOCUMENTS = corpus.documents(CAP)


def test_the_cap_holds_and_is_nearly_reached():
    assert 0.7 * CAP < sum(len(document.text.encode()) for document in DOCUMENTS) <= CAP


def test_the_corpus_is_the_same_again():
    assert corpus.documents(CAP) == DOCUMENTS


def test_it_has_topics_docstrings_and_sources():
    topics = [document for document in DOCUMENTS if document.family.startswith("topic ")]
    assert {document.family for document in topics} == {f"topic {name}" for name in corpus._topics()}
    by_family: dict[str, list[str]] = {}
    for document in DOCUMENTS:
        by_family.setdefault(document.family, []).append(document.text)
    modules = {family: texts for family, texts in by_family.items() if not family.startswith("topic ")}
    assert len(modules) > 20
    assert any(len(texts) == 2 for texts in modules.values())


def test_document_families_stay_together_among_mixed_modules():
    families = [document.family for document in DOCUMENTS]
    runs = [family for index, family in enumerate(families) if index == 0 or families[index - 1] != family]
    assert len(runs) == len(set(runs))
    half = len(families) // 2
    assert any(family.startswith("topic ") for family in families[half:])
    assert not all(family.startswith("topic ") for family in families[:half])


def test_no_long_paragraph_stands_twice():
    paragraphs = [part for document in DOCUMENTS for part in document.text.split("\n\n") if len(part) >= 100]
    assert len(paragraphs) == len(set(paragraphs))


def test_a_repeated_paragraph_goes_where_it_is_long():
    seen: set[str] = set()
    long = "long " * 30
    assert corpus._without_repeats(f"{long}\n\nNote:\n\nNote:", seen) == f"{long}\n\nNote:\n\nNote:"
    assert corpus._without_repeats(f"Note:\n\n{long}\n\nend", seen) == "Note:\n\nend"


def test_a_smaller_corpus_moves_no_family_across_the_split():
    def families(cap):
        return [{document.family for document in side} for side in corpus.split(corpus.documents(cap), 0.2)]

    (train, val), (smaller_train, smaller_val) = families(CAP), families(CAP // 2)
    assert not train & val
    assert val
    assert smaller_train < train
    assert smaller_val <= val
    larger_val = {document.family for document in corpus.split(DOCUMENTS, 0.4)[1]}
    assert val < larger_val


SOURCE = '''"""Über the module."""
import os

class A:
    """Of A.

    Über two lines."""
    def f(self):
        "of f"; return "kept"

    async def g(self): "of g"

    if os:
        def h(self):
            """Of h."""

            # a comment
            return """no docstring"""
'''


def test_docstrings_and_source_part_without_rest(tmp_path):
    path = tmp_path / "m.py"
    path.write_text(SOURCE, encoding="utf-8")
    prose, source = corpus._read_module("m", path)
    expected = {
        "m": "Über the module.",
        "m.A": "Of A.\n\nÜber two lines.",
        "m.A.f": "of f",
        "m.A.g": "of g",
        "m.A.h": "Of h.",
    }
    assert prose == "\n\n".join(f"{name}\n\n{text}" for name, text in expected.items())
    assert source == (
        'import os\n\nclass A:\n    def f(self):\n        ; return "kept"\n\n    async def g(self): \n\n    if os:\n'
        '        def h(self):\n\n            # a comment\n            return """no docstring"""\n'
    )


@pytest.mark.parametrize("content", [b"def f(:\n", b"# coding: ascii\n'\xff'\n", b"x = 1\x00\n"])
def test_a_file_that_does_not_parse_is_left_out(tmp_path, content):
    path = tmp_path / "m.py"
    path.write_bytes(content)
    assert corpus._read_module("m", path) == []


def test_text_is_what_a_tokenizer_can_give_back():
    assert corpus._clean("\n a▁b\ud800c \n") == "a_bc"


def test_only_text_of_the_library_is_read():
    modules = corpus._modules()
    assert {"argparse", "json", "json.decoder"} <= set(modules)
    for name in ("test.support", "this", "antigravity", "idlelib.run", "encodings.cp1252", "html.entities"):
        assert name not in modules
    assert not any("site-packages" in path.parts or "test" in path.parts for path in modules.values())


def test_reading_the_library_imports_none_of_it():
    assert "turtle" in corpus._modules()
    assert "turtle" not in sys.modules
