"""What others may have written is read within bounds, or refused in one line."""

import json
import os
from pathlib import Path
from typing import TypedDict

import pytest

from golf.errors import UserError
from golf.utils.reading import MAX_DEPTH, read_json, read_yaml


class Form(TypedDict):
    size: int
    score: float | None


def refused(path: Path, content: bytes, read=read_json) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read(path, Form)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read as JSON"),
        (b"\0\0\0", "cannot be read as JSON"),
        (b'{"size": "\xff"}', "cannot be read as JSON"),
        (b'{"size": 1, "score": NaN}', "NaN is no number"),
        (b'{"size": 1, "score": 1e999}', "1e999 is no number"),
        (b'{"size": 99999999999999999999, "score": 1}', "does not fit 64 bits"),
        (b"[" * 10**5, "cannot be read as JSON"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} deep"),
        (b"[]", "expected mapping with size, score, got []"),
        (b'{"size": 1}', "has no score"),
        (b'{"size": 1.5, "score": 1}', "size: expected int, got 1.5"),
        (b'{"size": true, "score": 1}', "size: expected int, got true"),
        (b'{"size": 1, "score": "\\u001b[2J"}', "score: expected float or null, got "),
    ],
)
def test_json_that_is_refused(tmp_path, content, why):
    assert why in refused(tmp_path / "a.json", content)


def test_json_of_the_form_is_read(tmp_path):
    path = tmp_path / "a.json"
    for value in ({"size": 1, "score": 2.5, "more": [{}]}, {"size": 2**63 - 1, "score": None}):
        path.write_text(json.dumps(value))
        assert read_json(path, Form) == value
    with pytest.raises(UserError, match="has more than 10 bytes"):
        read_json(path, Form, max_bytes=10)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, why in {
        tmp_path / "pipe": "is no regular file",
        Path("/dev/zero"): "is no regular file",
        tmp_path: "cannot be read",
        tmp_path / "nowhere": "cannot be read",
        tmp_path / "loop": "cannot be read",
        tmp_path / ("x" * 9999): "cannot be read",
        tmp_path / "\0": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=why):
            read_json(path)


def test_yaml_whose_aliases_make_more_of_it(tmp_path):
    bomb = "a0: &a0 [0]\n" + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))
    assert "nested" in refused(tmp_path / "a.yaml", bomb.encode(), read_yaml)
    assert "nested" in refused(tmp_path / "a.yaml", b"&a [*a]", read_yaml)
    assert "cannot be read as YAML" in refused(tmp_path / "a.yaml", b"!!python/object/apply:os.system [x]", read_yaml)
