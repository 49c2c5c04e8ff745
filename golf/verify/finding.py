"""The result of a check."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["held", "failed", "not checked"]
RELATIVE = 1e-9  # by which floats may differ: the last digits of a sum depend on versions
LONGEST = 80  # characters of a value that are shown
MOST = 50  # values that are listed one by one


@dataclass(frozen=True)
class Finding:
    """`seen`: what was found, against what is stated; for "not checked", the reason."""

    name: str
    verdict: Verdict
    seen: str


def judged(name: str, holds: bool, seen: str) -> Finding:
    """A finding that was checked."""
    return Finding(name, "held" if holds else "failed", seen)


def compare(name: str, seen: Any, stated: Any) -> list[Finding]:
    """One "held" finding, or a "failed" one for each value that differs. seen, stated: JSON values."""
    ours, theirs = dict(_values(seen, "")), dict(_values(stated, ""))
    wrong = [
        Finding(f"{name}{key}", "failed", f"{_at(theirs, key)} is stated, {_at(ours, key)} is seen")
        for key in dict.fromkeys([*ours, *theirs])
        if not (key in ours and key in theirs and _same(ours[key], theirs[key]))
    ]
    if len(wrong) > MOST:
        wrong[MOST:] = [Finding(name, "failed", f"so do {len(wrong) - MOST} more values")]
    agreed = f"{_at(ours, '')} is stated and seen" if "" in ours else f"{len(ours)} values, as stated"
    return wrong or [Finding(name, "held", agreed)]


def shown(value: Any) -> str:
    """The value as JSON on one line, cut to LONGEST characters."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON value with their paths."""
    if not (isinstance(value, dict | list) and value):
        yield key, value
        return
    for inner, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _values(each, f"{key}.{inner}" if key else f": {inner}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and type(other) in (int, float):
        return math.isclose(one, other, rel_tol=RELATIVE)
    return type(one) is type(other) and one == other


def _at(values: dict[str, Any], key: str) -> str:
    return shown(values[key]) if key in values else "nothing"
