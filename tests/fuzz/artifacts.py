"""Hostile artifacts: a good one, damaged at every layer, sizes and digests mended so that the next layer sees it."""

import hashlib
import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz.mutate import Rng, other_bytes, other_json

from golf.build import build
from golf.codec.base import Codec
from golf.codec.lzma import Lzma
from golf.codec.range import Range
from golf.io.artifact import (
    BUILT_IN_CODECS,
    Artifact,
    Quantized,
    State,
    read_artifact,
    write_artifact,
)
from golf.io.container import to_json

PARAMS: dict[str, dict[str, Any]] = {
    "brotli": {"quality": 5, "lgwin": 16, "byte_shuffle": True},
    "lzma": {"preset": 0, "byte_shuffle": True},
    "none": {},
    "range": {},
}
MOST_ELEMENTS = 1 << 16  # of shapes whose sizes are made to fit: honest claims cost what they claim
MODEL = {"_target_": "golf.model.gpt.GPT", "width": 64, "list": [1, None, 0.5]}


def state() -> State:
    """Each kind of tensor, with rows near the one above."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(-31, 32, (24, 10), generator=generator, dtype=torch.int8)
    codes[10:16] = codes[9]
    return {
        "blocks.0.weight": Quantized(codes, torch.rand(24, generator=generator).half(), 6),
        "gates": torch.randn(2, 3, generator=generator).half(),
        "embedding": Quantized(torch.arange(-8, 8, dtype=torch.int8).reshape(8, 2), torch.ones(8).half(), 5),
        "scalar": torch.tensor(0.5).half(),
        "none": torch.zeros(0, 5).half(),
    }


@dataclass
class Parts:
    """A file taken apart: what is changed here is put together with digests and, unless `listed` says otherwise, sizes
    that are right."""

    fields: dict[str, Any]
    raw: dict[str, Any]  # what the sections decode to: JSON of the index, arrays of the others
    stored: dict[str, bytes] = field(default_factory=dict)  # in place of what is encoded
    raw_bytes: dict[str, int] = field(default_factory=dict)  # in place of those of `raw`


def good_parts(codec: str) -> Parts:
    tensors = state()
    index: list[Any] = []
    codes, floats = [], []
    for name, tensor in tensors.items():
        if isinstance(tensor, Quantized):
            index.append([name, "int", list(tensor.codes.shape), tensor.bits])
            codes.append(tensor.codes.numpy())
            floats.append(tensor.scale.numpy())
        else:
            index.append([name, "float16", list(tensor.shape), 16])
            floats.append(tensor.numpy())
    fields = {
        "codec": {"name": codec, "params": PARAMS[codec]},
        "model": MODEL,
        "tokenizer_sha256": "ab" * 32,
    }
    return Parts(fields, {"index": to_json("", index), "codes": codes, "floats": floats})


class QuickRange(Range):
    """What it hands to LZMA takes the preset that needs the least memory: a file may have any."""

    def encode(self, arrays: Sequence[np.ndarray]) -> bytes:
        if all(array.dtype == np.int8 and array.ndim == 2 for array in arrays):
            return super().encode(arrays)
        return Lzma(preset=0, byte_shuffle=arrays[0].dtype.itemsize == 2).encode(arrays)


def stored_sections(parts: Parts, coder: Codec) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The list of the header, and the bytes."""
    listed, stored = [], []
    for name, raw in parts.raw.items():
        arrays = [np.frombuffer(raw, np.uint8)] if isinstance(raw, bytes) else raw
        data = parts.stored[name] if name in parts.stored else coder.encode(arrays)
        size = parts.raw_bytes.get(name, sum(array.nbytes for array in arrays))
        listed.append(
            {"name": name, "raw_bytes": size, "sha256": hashlib.sha256(data).hexdigest(), "stored_bytes": len(data)}
        )
        stored.append(data)
    return listed, stored


def seal(header: Any, body: bytes = b"") -> bytes:
    """A file of any header, JSON or bytes, with its size and digest."""
    if not isinstance(header, bytes):
        header = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
            errors="surrogatepass"
        )
    return struct.pack("<4sHI32s", b"GOLF", 1, len(header), hashlib.sha256(header).digest()) + header + body


def sizes_of(index: Any) -> dict[str, int]:
    """What the sections of an index hold, if it has the form of one and is not too large to try."""
    try:
        codes = sum(math.prod(shape) for _, kind, shape, _ in index if kind == "int")
        floats = sum(shape[0] if kind == "int" else math.prod(shape) for _, kind, shape, _ in index)
        fits = 0 <= codes <= MOST_ELEMENTS and 0 <= floats <= MOST_ELEMENTS
        return {"codes": int(codes), "floats": int(2 * floats)} if fits else {}
    except (TypeError, ValueError, LookupError, OverflowError):
        return {}


class Mutator:
    """Damages the artifact of one codec, in one place of one layer."""

    def __init__(self, codec: str):
        self.codec = codec
        built = build({**PARAMS[codec], "_target_": BUILT_IN_CODECS[codec]})
        self.coder: Codec = QuickRange() if codec == "range" else built
        self.listed, self.stored = stored_sections(good_parts(codec), self.coder)
        self.header = {**good_parts(codec).fields, "sections": self.listed}
        self.good = seal(self.header, b"".join(self.stored))
        self.layers: dict[str, Callable[[Rng], bytes]] = {
            "file": lambda rng: other_bytes(rng, self.good),
            "header": lambda rng: seal(other_json(rng, self.header), b"".join(self.stored)),
            "header bytes": self._header_bytes,
            "sections": self._sections,
            "index": self._index,
            "index bytes": self._index_bytes,
            "stored": self._stored,
            "raw": self._raw,
            "claims": self._claims,
        }

    def input(self, seed: int, number: int) -> tuple[str, bytes]:
        """The damaged layer and the file."""
        rng = Rng(f"{self.codec} {seed} {number}")
        layer = rng.choice(list(self.layers))
        return layer, self.layers[layer](rng)

    def _put_together(self, parts: Parts) -> bytes:
        listed, stored = stored_sections(parts, self.coder)
        return seal({**parts.fields, "sections": listed}, b"".join(stored))

    def _header_bytes(self, rng: Rng) -> bytes:
        start = len(self.good) - sum(map(len, self.stored))
        return seal(other_bytes(rng, self.good[42:start]), self.good[start:])

    def _sections(self, rng: Rng) -> bytes:
        """Sections in another order, twice, under other names, or with bytes that are the neighbour's."""
        order = rng.choices(range(3), k=rng.choice([0, 2, 3, 3, 3, 4]))
        listed, stored = [dict(self.listed[i]) for i in order], [self.stored[i] for i in order]
        if len(order) > 1 and rng.random() < 0.5:
            moved = rng.choice([1, -1, listed[0]["stored_bytes"], 2**40])
            listed[0]["stored_bytes"] += moved
            listed[1]["stored_bytes"] -= moved
        body, start = b"".join(stored), 0
        for entry in listed:
            size = entry["stored_bytes"]
            entry["sha256"] = hashlib.sha256(body[start : start + size] if size >= 0 else b"").hexdigest()
            start += size
        return seal({**self.header, "sections": listed}, body)

    def _index(self, rng: Rng) -> bytes:
        parts = good_parts(self.codec)
        index = other_json(rng, json.loads(parts.raw["index"]))
        text = json.dumps(index, separators=(",", ":"), ensure_ascii=False)
        parts.raw["index"] = text.encode(errors="surrogatepass")
        if rng.random() < 0.8:
            parts.raw_bytes = sizes_of(index)
        return self._put_together(parts)

    def _index_bytes(self, rng: Rng) -> bytes:
        parts = good_parts(self.codec)
        parts.raw["index"] = other_bytes(rng, parts.raw["index"])
        return self._put_together(parts)

    def _stored(self, rng: Rng) -> bytes:
        parts, which = good_parts(self.codec), rng.randrange(3)
        name = self.listed[which]["name"]
        parts.stored[name] = other_bytes(rng, self.stored[which])
        return self._put_together(parts)

    def _raw(self, rng: Rng) -> bytes:
        """Values that no quantizer writes: codes beyond their bits, halves that are not finite."""
        parts = good_parts(self.codec)
        arrays = parts.raw[rng.choice(["codes", "floats"])]
        at = rng.choice([i for i, array in enumerate(arrays) if array.size])
        array = arrays[at].copy()
        array.reshape(-1).view(np.uint8)[rng.randrange(array.nbytes)] = rng.choice([0, 0x7C, 0x7E, 0xFC, 0x80, 0xFF])
        arrays[at] = array
        return self._put_together(parts)

    def _claims(self, rng: Rng) -> bytes:
        """Shapes and sizes that agree with each other, and not with what is stored."""
        parts = good_parts(self.codec)
        index = json.loads(parts.raw["index"])
        for entry in rng.sample(index, rng.choice([1, 1, 2])):
            most = rng.choice([40, 1 << 7, 1 << 12])
            entry[2] = [rng.choice([0, 1, 2, most // 8, rng.randrange(most)]) for _ in entry[2]]
            entry[3] = rng.choice([entry[3], entry[3], 8])
        parts.raw["index"] = to_json("", index)
        parts.raw_bytes = sizes_of(index)
        listed, stored = stored_sections(good_parts(self.codec), self.coder)
        parts.stored = {entry["name"]: data for entry, data in zip(listed[1:], stored[1:], strict=True)}
        if rng.random() < 0.5:
            parts.stored["codes"] = parts.stored["codes"][: rng.randrange(30)]
        return self._put_together(parts)


def check_meaning(artifact: Artifact, path: Path) -> None:
    """It is no larger than was claimed, written again it is the same, and its codec is one that can write."""
    assert sum(tensor.numel() for tensor in artifact.tensors().values()) <= 2 * MOST_ELEMENTS + 1000
    again = path.with_suffix(".again")
    plain = {"_target_": BUILT_IN_CODECS["none"]}
    write_artifact(again, artifact.state, model=artifact.model, tokenizer_sha256=artifact.tokenizer_sha256, codec=plain)
    back = read_artifact(again)
    assert (back.model, back.tokenizer_sha256) == (artifact.model, artifact.tokenizer_sha256)
    assert [*back.state] == [*artifact.state]
    for name, tensor in artifact.tensors().items():
        assert torch.equal(tensor, back.tensors()[name])
    assert "_target_" not in artifact.codec["params"]
    coder: Codec = build({**artifact.codec["params"], "_target_": BUILT_IN_CODECS[artifact.codec["name"]]})
    coder.encode([np.zeros((1, 1), np.int8)])
