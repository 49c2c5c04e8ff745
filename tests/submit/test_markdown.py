"""What an author writes is text in README.md, whatever it is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from golf.submit.markdown import as_text
from golf.utils.terminal import printable

GITHUB = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKUP = st.text(st.sampled_from("\\`*_[]()<>&|~$#!+-=.:/1 \n\tab\"'"), max_size=30)


def shown(markdown: str, kind: str) -> list[str]:
    """The texts of all blocks of that kind, which hold nothing else."""
    tokens = GITHUB.parse(markdown)
    assert {token.type for token in tokens if token.type != "inline"} <= {
        f"{block}_{end}" for block in (kind, "table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
    }
    assert {child.type for token in tokens for child in token.children or ()} <= {"text"}
    return ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]


@given(MARKUP | st.text(max_size=30))
def test_it_is_shown_as_it_is(text):
    line = printable(" ".join(text.split()))
    assert shown(f"# {as_text(text)}\n", "heading") == [line]
    if line:
        assert shown(f"{as_text(text)}\n", "paragraph") == [line]
    assert shown(f"| x | y |\n|---|---|\n| {as_text(text)} | y |\n", "table") == ["x", "y", line, "y"]


@pytest.mark.parametrize("text", ["Engine 2", "Fewer bytes, more loops (v1.0)", "½ – 3", "0.997"])
def test_plain_words_stay_as_they_are(text):
    assert as_text(text) == text
