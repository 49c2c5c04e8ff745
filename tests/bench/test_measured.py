"""What the READMEs give as measured, against the measurements that are kept beside the tests."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "measured").glob("*.json"))
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
# The record's average, the milliseconds of its script, its score as published.
NOT_MEASURED_HERE = {"0.997", "98.4", "1.08269"}


def numbers(value: Any) -> Iterator[float]:
    """All of a JSON value, those in its texts included."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, str):
        yield from (float(found.replace(",", "")) for found in NUMBER.findall(value) if found.strip(","))
    elif value is not None:
        yield float(value)


def told() -> list[str]:
    """The numbers with a point or a comma: of the results in README.md, and of all of the measurements' own."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = text[text.index("## Results") :] + (ROOT / "tests" / "measured" / "README.md").read_text(encoding="utf-8")
    found = {number.strip(",") for number in NUMBER.findall(text)}
    return sorted(number for number in found if {".", ","} & set(number))


@pytest.fixture(scope="module")
def measured() -> list[float]:
    return [number for file in FILES for number in numbers(json.loads(file.read_text()))]


def test_each_file_says_on_what_and_when() -> None:
    assert FILES
    for file in FILES:
        found = json.loads(file.read_text())
        assert found["device"], file
        assert re.match(r"20\d\d-\d\d-\d\d", found["date"]), file


@pytest.mark.parametrize("number", [number for number in told() if number not in NOT_MEASURED_HERE])
def test_a_number_of_the_readmes_was_measured(number: str, measured: list[float]) -> None:
    half = 0.5001 * 10 ** -len(number.partition(".")[2])
    assert any(abs(value - float(number.replace(",", ""))) <= half for value in measured)
