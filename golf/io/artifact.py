"""The artifact: the file with the quantized model, whose size counts.

`golf.io.container` describes its envelope. Besides the list of sections, the header has

    codec             {"name": "brotli", "params": {...}}: encodes each section; the name of a codec that is not built
                      in is its import path
    model             the configuration of the model group, with its `_target_`
    tokenizer_sha256  of the model's tokenizer

and the sections are

    index   JSON, one entry per tensor: [name, "int", [rows, columns], bits] or [name, "float16", shape, 16]
    codes   int8: the codes of the "int" tensors in the order of the index
    floats  little-endian float16, in the order of the index: the scales of an "int" tensor, one per row, or the values
            of a "float16" tensor

The codec encodes the arrays of a section together; the index is one array of bytes. An element of an "int" tensor is
its code times the scale of its row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golf.build import build
from golf.codec.base import Codec, CodecError, Form
from golf.errors import Diverged, UserError, excerpt
from golf.io.container import (
    ArtifactError,
    ContentError,
    Section,
    SizeError,
    expect,
    from_json,
    read_container,
    require,
    to_json,
    write_container,
)
from golf.utils.atomic import atomic_write

BUILT_IN_CODECS = {
    "brotli": "golf.codec.brotli.Brotli",
    "lzma": "golf.codec.lzma.Lzma",
    "none": "golf.codec.none.NoCodec",
    "range": "golf.codec.range.Range",
}
HEADER_FORM = {"codec": {"name": str, "params": dict}, "model": dict, "tokenizer_sha256": str}
INDEX_FORM = [(str, str, [int], int)]

MAX_INDEX_BYTES = 1 << 20
MAX_ELEMENTS = 1 << 30  # of one tensor
MAX_DIMENSIONS = 8
MAX_TENSORS = 1 << 12
MAX_MESSAGE = 500  # characters of an error about a file's content


class NotFinite(ContentError, Diverged):
    """A tensor that is not finite."""


@dataclass(frozen=True)
class Quantized:
    """A matrix as integers of `bits` bits: codes int8 (rows, columns), scale float16 (rows,)."""

    codes: torch.Tensor
    scale: torch.Tensor
    bits: int

    def dequantize(self) -> torch.Tensor:
        """The dequantized matrix, float32 (rows, columns)."""
        return self.codes.float() * self.scale.float()[:, None]


State = dict[str, Quantized | torch.Tensor]  # plain tensors are float16


@dataclass(frozen=True)
class Artifact:
    """The content of a file. Its `model` names a class; check that it is trusted before building it."""

    model: dict[str, Any]
    tokenizer_sha256: str
    codec: dict[str, Any]
    state: State

    def tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor in float32, as a model loads them."""
        return {
            name: tensor.dequantize() if isinstance(tensor, Quantized) else tensor.float()
            for name, tensor in self.state.items()
        }


def write_artifact(
    path: Path, state: State, *, model: Mapping[str, Any], tokenizer_sha256: str, codec: Mapping[str, Any]
) -> int:
    """Write `state` to `path`; returns the size of the file in bytes.

    model, codec: the configuration of these groups, with their `_target_`. The file is read back and compared before it
    is moved to `path`. Raises ArtifactError for a state that cannot be stored (dtypes, shapes, codes out of range,
    values that are not finite) and for a codec that is not lossless.
    """
    coder: Codec = build(codec)
    raw = _to_sections(state)
    sections = [Section(name, coder.encode(arrays), _bytes(arrays)) for name, arrays in raw.items()]
    fields = {"codec": _describe(codec), "model": dict(model), "tokenizer_sha256": tokenizer_sha256}
    with atomic_write(path) as temporary:
        size = write_container(temporary, fields, sections)
        back = _to_sections(_read(temporary, codec).state)
        pairs = zip(chain(*back.values()), chain(*raw.values()), strict=True)
        same = all(ours.tobytes() == theirs.tobytes() for ours, theirs in pairs)
        require(same, f"codec: {codec['_target_']} is not lossless")
    return size


def read_artifact(path: Path, *, codec: Mapping[str, Any] | None = None) -> Artifact:
    """Read what `write_artifact` wrote.

    codec: the configuration of a custom codec, needed if the file names one; only this is ever built, never a class
    that the file names. Raises ArtifactError, which names the file and the field.
    """
    try:
        require(path.is_file() or not path.exists(), "not a regular file")  # reading a pipe would block
        return _read(path, codec)
    except ArtifactError as error:
        raise type(error)(f"{path}: {excerpt(str(error), MAX_MESSAGE)}") from error
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error


def bytes_per_tensor(state: State) -> dict[str, float]:
    """Estimate of each tensor's stored bytes: the order-0 entropy of its codes plus 2 bytes per float16."""
    return {
        name: _entropy(tensor.codes) / 8 + 2.0 * tensor.scale.numel()
        if isinstance(tensor, Quantized)
        else 2.0 * tensor.numel()
        for name, tensor in state.items()
    }


def _entropy(codes: torch.Tensor) -> float:
    """Order-0 entropy of all codes together, in bits."""
    counts = codes.unique(return_counts=True)[1].double()
    return float((counts * (counts.sum() / counts).log2()).sum())


def _describe(codec: Mapping[str, Any]) -> dict[str, Any]:
    """A codec's configuration as the header states it."""
    names = {target: name for name, target in BUILT_IN_CODECS.items()}
    params = dict(codec)
    target = params.pop("_target_")
    return {"name": names.get(target, target), "params": params}


def _build_codec(described: dict[str, Any], codec: Mapping[str, Any] | None) -> Codec:
    name = described["name"]
    require("_target_" not in described["params"], "codec.params: has a _target_")
    if name in BUILT_IN_CODECS:
        try:
            built: Codec = build({**described["params"], "_target_": BUILT_IN_CODECS[name]})
            return built
        except (UserError, TypeError) as error:
            raise ContentError(f"codec: {error}") from error
    if codec is None or to_json("codec", _describe(codec)) != to_json("codec", described):
        raise ArtifactError(f"codec: {name!r} is not built in, choose the one that the file was written with")
    chosen: Codec = build(codec)
    return chosen


def _to_sections(state: State) -> dict[str, list[np.ndarray]]:
    index: list[Any] = []
    codes, floats = [], []
    for name, tensor in state.items():
        _check_tensor(name, tensor)
        if isinstance(tensor, Quantized):
            index.append([name, "int", list(tensor.codes.shape), tensor.bits])
            codes.append(tensor.codes.cpu().numpy())
            tensor = tensor.scale
        else:
            index.append([name, "float16", list(tensor.shape), 16])
        floats.append(tensor.detach().cpu().numpy().astype("<f2"))
    return {"index": [np.frombuffer(to_json("index", index), np.uint8)], "codes": codes, "floats": floats}


def _bytes(arrays: Sequence[np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays)


def _read(path: Path, codec: Mapping[str, Any] | None) -> Artifact:
    fields, sections = read_container(path)
    expect("header", fields, HEADER_FORM)
    expect("header.model", fields["model"].get("_target_"), str)
    names = [section.name for section in sections]
    require(names == ["index", "codes", "floats"], "sections: must be index, codes and floats")
    index_section, codes_section, floats_section = sections
    require(index_section.raw_bytes <= MAX_INDEX_BYTES, f"index: longer than {MAX_INDEX_BYTES} bytes", SizeError)

    decoder = _build_codec(fields["codec"], codec)
    (text,) = _decode(index_section, decoder, [Form("u1", (index_section.raw_bytes,))])
    index = _parse_index(text.tobytes(), codes_section.raw_bytes, floats_section.raw_bytes)
    matrices = [Form("i1", tuple(shape)) for _, kind, shape, _ in index if kind == "int"]
    vectors = [Form("<f2", tuple(shape[:1] if kind == "int" else shape)) for _, kind, shape, _ in index]
    codes, floats = iter(_decode(codes_section, decoder, matrices)), _decode(floats_section, decoder, vectors)
    state: State = {}
    for (name, kind, _, bits), values in zip(index, floats, strict=True):
        state[name] = _tensor(values) if kind == "float16" else Quantized(_tensor(next(codes)), _tensor(values), bits)
        _check_tensor(name, state[name])
    return Artifact(**fields, state=state)


def _decode(section: Section, decoder: Codec, forms: Sequence[Form]) -> list[np.ndarray]:
    try:
        arrays = decoder.decode(section.stored, forms)
    except CodecError as error:
        raise ContentError(f"{section.name}: {error}") from error
    found = [(array.dtype, array.shape) for array in arrays]
    asked = [(np.dtype(form.dtype), form.shape) for form in forms]
    require(found == asked, f"{section.name}: decodes to arrays of other forms", SizeError)
    return arrays


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def _parse_index(data: bytes, codes_bytes: int, floats_bytes: int) -> list[Any]:
    """The index, checked also against the sizes of the sections that it divides."""
    index: list[Any] = from_json("index", data)
    expect("index", index, INDEX_FORM)
    require(len(index) <= MAX_TENSORS, f"index: more than {MAX_TENSORS} tensors", SizeError)
    require(len({name for name, *_ in index}) == len(index), "index: a name occurs twice")
    codes = floats = 0
    for name, kind, shape, bits in index:
        require(len(shape) <= MAX_DIMENSIONS and min(shape, default=0) >= 0, f"{name!r}: invalid shape")
        # Sizes beside a zero count too, or strides would overflow.
        require(math.prod(max(size, 1) for size in shape) <= MAX_ELEMENTS, f"{name!r}: shape is too large", SizeError)
        if kind == "int":
            require(len(shape) == 2, f"{name!r}: is not a matrix")
            codes += math.prod(shape)
            floats += shape[0]
        else:
            require(kind == "float16" and bits == 16, f"{name!r}: kind is neither int nor float16")
            floats += math.prod(shape)
    require(codes == codes_bytes, f"codes: {codes_bytes} bytes, not the {codes} of the index", SizeError)
    require(2 * floats == floats_bytes, f"floats: {floats_bytes} bytes, not the {2 * floats} of the index", SizeError)
    return index


def _check_tensor(name: str, tensor: Quantized | torch.Tensor) -> None:
    if isinstance(tensor, Quantized):
        codes, scale, bits = tensor.codes, tensor.scale, tensor.bits
        require(codes.dtype == torch.int8 and codes.dim() == 2, f"{name!r}: codes are not int8 (rows, columns)")
        require(scale.shape == codes.shape[:1], f"{name!r}: must have one scale per row")
        require(1 <= bits <= 8, f"{name!r}: bits must be 1 to 8")
        low, high = map(int, codes.aminmax()) if codes.numel() else (0, 0)
        require(-(1 << bits - 1) <= low and high < 1 << bits - 1, f"{name!r}: codes exceed {bits} bits")
        tensor = scale
    require(tensor.dtype == torch.float16, f"{name!r}: is {tensor.dtype}, not float16")
    require(bool(tensor.isfinite().all()), f"{name!r}: is not finite in float16", NotFinite)
