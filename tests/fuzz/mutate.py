"""Damage, by a random generator: of values, of bytes, and of files."""

import json
import math
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Rng = random.Random


def other_value(rng: Rng) -> Any:
    """Any JSON value, hostile ones above all; NaN and infinities too."""
    numbers = [0, -1, 1, 2, 7, 8, 9, 255, 2**20, 2**30, 2**31, 2**62, 2**63, 2**64, -(2**63), 10**4000]
    return rng.choice(
        [
            lambda: rng.choice(numbers),
            lambda: rng.randrange(-3, 40),
            lambda: rng.choice([None, True, False, 1.0, -0.0, 1e308, math.nan, math.inf]),
            lambda: rng.choice(
                ["", "int", "float16", "codes", "brotli", "os.system", "\0\n\x1b[2J", "\ud800", "x" * 9999]
            ),
            lambda: rng.choice([[], {}, [[]], [0] * 9, {"_target_": "os.system"}, {"self": 1}, {"quality": []}]),
            lambda: [rng.choice(numbers) for _ in range(rng.randrange(10))],
        ]
    )()


def other_json(rng: Rng, value: Any) -> Any:
    """`value` with a part, at any depth, replaced, dropped, doubled, moved or named otherwise."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            rest = {name: inner for name, inner in value.items() if name != key}
            return rng.choice([rest, {**rest, rng.choice(["", "x", "self", "_target_"]): value[key]}])
        return {**value, key: other_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at, to = rng.randrange(len(value)), rng.randrange(len(value))
        if rng.random() < 0.3:
            return rng.choice(
                [value[:at] + value[at + 1 :], value[:at] + value[at:][:1] + value[at:], value[at:] + value[:at]]
            )
        swapped = [*value]
        swapped[at] = other_json(rng, value[at] if rng.random() < 0.8 else value[to])
        return swapped
    if type(value) is int and rng.random() < 0.5:
        return value + rng.choice([-1, 1, 2])
    return other_value(rng)


def other_bytes(rng: Rng, data: bytes) -> bytes:
    """Bits flipped, slices lost, doubled, filled or replaced; seldom the same."""
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        start, length = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 4, 8, 40])
        cut = data[start : start + length]
        patch = rng.choice(
            [
                lambda cut=cut: bytes(byte ^ 1 << rng.randrange(8) for byte in cut),
                lambda cut=cut: rng.randbytes(len(cut)),
                lambda cut=cut: bytes([rng.choice([0, 1, 127, 128, 255])]) * len(cut),
                lambda: b"",
                lambda cut=cut: cut * 2,
                lambda: rng.randbytes(rng.randrange(9)),
                lambda data=data: data[rng.randrange(len(data) + 1) :][:40],
            ]
        )()
        data = data[:start] + patch + data[start + length :]
        if rng.random() < 0.1:
            data = data[: rng.randrange(len(data) + 1)]
    return data


def other_text(rng: Rng, text: bytes, parse: Callable[[bytes], Any], write: Callable[[Any], str]) -> bytes:
    """Of a value in a text: the value or the text changed."""
    if rng.random() < 0.7:
        return write(other_json(rng, parse(text))).encode(errors="surrogatepass")
    return other_bytes(rng, text)


def other_lines(rng: Rng, text: bytes, other_line: Callable[[Rng, bytes], bytes]) -> bytes:
    """Of lines: one changed, lost, twice or elsewhere, or a line of something else among them."""
    lines = text.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    choices: list[Callable[[], list[bytes]]] = [
        lambda: [*lines[:at], other_line(rng, lines[at]), *lines[at + 1 :]],
        lambda: [*lines[:at], other_line(rng, lines[at]), *lines[at + 1 :]],
        lambda: lines[:at] + lines[at + 1 :],
        lambda: lines[:at] + lines[to:],
        lambda: [*lines[:at], b"\0" * rng.choice([1, 4096]), *lines[at:]],
        lambda: [*lines[:at], other_bytes(rng, lines[to]), *lines[at:]],
    ]
    return b"\n".join(rng.choice(choices)())


def other_line(rng: Rng, line: bytes) -> bytes:
    """Of a JSON object, perhaps after a word."""
    word, brace, rest = line.partition(b"{")
    if not brace:
        return other_bytes(rng, line)
    return word + other_text(rng, brace + rest, json.loads, json.dumps)


def other_content(rng: Rng, name: str, content: bytes) -> bytes:
    """Of a file, by what is in it."""
    kind = Path(name).suffix
    if kind == ".json":
        return other_text(rng, content, json.loads, json.dumps)
    if kind == ".yaml":
        return other_text(rng, content, yaml.safe_load, yaml.safe_dump)
    if kind in (".jsonl", ".log"):
        return other_lines(rng, content, other_line)
    if kind in (".md", ".txt"):
        return other_lines(rng, content, other_bytes)
    return other_bytes(rng, content)


BOMB = "\n".join(["a0: &a0 [0, 0]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))])
STRANGE = [
    *(b"", b"\0" * 4096, b"\xff\xfe\xff", b"null", b"[]", b"{}", b"3", b"NaN", b"1e999", b"9" * 5000, b'"\\ud800"'),
    *(b"[" * 10**6, b'{"a":' * 10**5, b"[" * 60 + b"]" * 60, b"[" * 70 + b"]" * 70, b"[" + b"[]," * 10**6 + b"[]]"),
    *(BOMB.encode(), b"- " * 10**4, b"!!python/object/apply:os.system [x]", b"&a [*a]", b"? {a: 1}\n: 2"),
]


def spoil(rng: Rng, path: Path, content: bytes) -> None:
    """Put something damaged where the file of this content was."""
    if rng.random() < 0.92:
        put(path, other_content(rng, path.name, content))
    elif rng.random() < 0.6:
        put(path, rng.choice(STRANGE))
    else:
        remove(path)
        rng.choice(
            [
                lambda: None,
                lambda: os.mkfifo(path),
                lambda: path.mkdir(),
                lambda: path.symlink_to("/dev/zero"),
                lambda: path.symlink_to(path.name),
            ]
        )()


def remove(path: Path) -> None:
    """Whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(path: Path, data: bytes) -> None:
    """Replace a file's content in place: many times faster than emptying and writing it."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(file.write(data))
