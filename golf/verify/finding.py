"""What a check says."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["held", "failed", "not checked"]
RELATIVE = 1e-9  # by which floats may differ: the last digits of a sum depend on versions
LONGEST = 80  # of a value that is told
MOST = 50  # values that are told one by one


@dataclass(frozen=True)
class Finding:
    """`seen`: what was found, against what is stated; for what is not checked, why."""

    name: str
    verdict: Verdict
    seen: str


def judged(name: str, holds: bool, seen: str) -> Finding:
    """One that was checked."""
    return Finding(name, "held" if holds else "failed", seen)


def compare(name: str, seen: Any, stated: Any) -> list[Finding]:
    """One that all holds, or one for each value that is stated otherwise than it is seen. seen, stated: JSON values."""
    ours, theirs = dict(_values(seen, "")), dict(_values(stated, ""))
    wrong = [
        Finding(f"{name}{key}", "failed", f"{_told(theirs, key)} is stated, {_told(ours, key)} is seen")
        for key in dict.fromkeys([*ours, *theirs])
        if not (key in ours and key in theirs and _same(ours[key], theirs[key]))
    ]
    if len(wrong) > MOST:
        wrong[MOST:] = [Finding(name, "failed", f"so do {len(wrong) - MOST} more values")]
    alike = f"{_told(ours, '')} is stated and seen" if "" in ours else f"{len(ours)} values, as they are stated"
    return wrong or [Finding(name, "held", alike)]


def shown(value: Any) -> str:
    """In one line of printable characters."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _values(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every number, string and the like in a JSON value, by where it stands."""
    if not (isinstance(value, dict | list) and value):
        yield key, value
        return
    for inner, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _values(each, f"{key}.{inner}" if key else f": {inner}")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and type(other) in (int, float):
        return math.isclose(one, other, rel_tol=RELATIVE)
    return type(one) is type(other) and one == other


def _told(values: dict[str, Any], key: str) -> str:
    return shown(values[key]) if key in values else "nothing"
