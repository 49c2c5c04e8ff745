"""The SP8192 tokenizer, for the tests of this folder."""

import lzma
from pathlib import Path

import pytest

SP8192 = Path(__file__).parents[1] / "fixtures" / "sp8192"


@pytest.fixture(scope="session")
def sp8192(tmp_path_factory):
    """The model file."""
    path = tmp_path_factory.mktemp("sp8192") / "tokenizer.model"
    path.write_bytes(lzma.decompress((SP8192 / "tokenizer.model.xz").read_bytes()))
    return path


@pytest.fixture
def sp8192_documents():
    """A file of FineWeb documents, one a line."""
    return SP8192 / "documents.jsonl"
