"""The artifact gives back what it was given, and nothing else is ever read from it."""

import hashlib
import json
import math
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from golf.errors import Diverged
from golf.io.artifact import (
    BUILT_IN_CODECS,
    Artifact,
    Quantized,
    State,
    bytes_per_tensor,
    read_artifact,
    write_artifact,
)
from golf.io.container import (
    ArtifactError,
    ContentError,
    DigestError,
    Section,
    SizeError,
    VersionError,
    to_json,
    write_container,
)

BROTLI = {"_target_": "golf.codec.brotli.Brotli", "quality": 5, "lgwin": 22, "byte_shuffle": True}
LZMA = {"_target_": "golf.codec.lzma.Lzma", "preset": 1, "byte_shuffle": False}
NONE = {"_target_": "golf.codec.none.NoCodec"}
RANGE = {"_target_": "golf.codec.range.Range"}
MODEL = {"_target_": "golf.model.gpt.GPT", "num_layers": 2, "width": 64, "base": 1e-5, "list": [1, None, "ü"]}
TOKENIZER = "ab" * 32
FIELDS = {"codec": {"name": "none", "params": {}}, "model": MODEL, "tokenizer_sha256": TOKENIZER}
INDEX = [["matrix", "int", [2, 3], 6], ["vector", "float16", [4], 16]]
CODES, FLOATS = bytes(6), bytes(2 * (2 + 4))

fuzz = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def small_state() -> State:
    generator = torch.Generator().manual_seed(0)
    return {
        "blocks.0.attn.c_q.weight": Quantized(
            torch.randint(-31, 32, (6, 10), generator=generator, dtype=torch.int8),
            torch.rand(6, generator=generator).half(),
            6,
        ),
        "skip_gates": torch.randn(2, 3, generator=generator).half(),
        "tok_emb.weight": Quantized(torch.tensor([[-128, 127], [0, 1]], dtype=torch.int8), torch.zeros(2).half(), 8),
        "scalar": torch.tensor(0.5).half(),
        "none": torch.zeros(0, 5).half(),
    }


def write(path: Path, state: State, codec: dict[str, Any] = BROTLI, **fields: Any) -> int:
    return write_artifact(path, state, **{"model": MODEL, "tokenizer_sha256": TOKENIZER, "codec": codec} | fields)


def equal(a: State, b: State) -> bool:
    """The same names in the same order with the same bits."""
    if list(a) != list(b):
        return False
    for x, y in zip(a.values(), b.values(), strict=True):
        if isinstance(x, Quantized) and isinstance(y, Quantized):
            if x.bits != y.bits or not torch.equal(x.codes, y.codes):
                return False
            x, y = x.scale, y.scale
        if not isinstance(x, torch.Tensor) or not isinstance(y, torch.Tensor):
            return False
        if x.dtype != y.dtype or x.shape != y.shape or not torch.equal(x.view(torch.int16), y.view(torch.int16)):
            return False
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "artifact.golf"


def put(path: Path, data: bytes) -> None:
    """Replace a file's content in place: many times faster than emptying and writing it."""
    with open(path, "r+b") as file:
        file.truncate(file.write(data))


@pytest.fixture(scope="module")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Small artifacts, compressed and not."""
    path = tmp_path_factory.mktemp("good") / "artifact.golf"
    files = []
    for codec in (BROTLI, NONE, RANGE):
        write(path, small_state(), codec)
        files.append(path.read_bytes())
    return files


@pytest.mark.parametrize("codec", [BROTLI, LZMA, NONE, RANGE], ids=["brotli", "lzma", "none", "range"])
def test_gives_back_what_it_was_given(path: Path, codec: dict[str, Any]) -> None:
    size = write(path, small_state(), codec)
    assert size == path.stat().st_size
    artifact = read_artifact(path)
    assert equal(artifact.state, small_state())
    assert artifact.model == MODEL
    assert artifact.tokenizer_sha256 == TOKENIZER
    assert BUILT_IN_CODECS[artifact.codec["name"]] == codec["_target_"]
    assert artifact.codec["params"] == {key: value for key, value in codec.items() if key != "_target_"}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_same_state_makes_the_same_bytes(path: Path) -> None:
    write(path, small_state())
    first = path.read_bytes()
    write(path, small_state())
    assert path.read_bytes() == first


def test_tensors_are_what_the_codes_stand_for(path: Path) -> None:
    codes, scale = torch.tensor([[1, -2], [3, 4]], dtype=torch.int8), torch.tensor([0.5, 2.0]).half()
    write(path, {"w": Quantized(codes, scale, 4), "v": torch.tensor([0.1]).half()})
    tensors = read_artifact(path).tensors()
    assert tensors["w"].tolist() == [[0.5, -1.0], [6.0, 8.0]]
    assert tensors["v"].tolist() == [torch.tensor(0.1).half().item()]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_what_is_read_is_ones_own_to_change(path: Path) -> None:
    write(path, small_state())
    state = read_artifact(path).state
    gates = state["skip_gates"]
    assert isinstance(gates, torch.Tensor)
    gates.fill_(1)
    rest = {name: tensor for name, tensor in small_state().items() if name != "skip_gates"}
    assert equal({name: tensor for name, tensor in state.items() if name != "skip_gates"}, rest)


def finite_halves(count: int) -> st.SearchStrategy[torch.Tensor]:
    values = st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False), min_size=count, max_size=count)
    return values.map(lambda v: torch.tensor(v, dtype=torch.float16))


@st.composite
def states(draw: Callable[..., Any]) -> State:
    state: State = {}
    for name in draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), unique=True, max_size=4)):
        if draw(st.booleans()):
            rows, columns, bits = (draw(st.integers(a, b)) for a, b in ((0, 3), (0, 4), (1, 8)))
            code = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            codes = draw(st.lists(code, min_size=rows * columns, max_size=rows * columns))
            matrix = torch.tensor(codes, dtype=torch.int8).reshape(rows, columns)
            state[name] = Quantized(matrix, draw(finite_halves(rows)), bits)
        else:
            shape = draw(st.lists(st.integers(0, 3), max_size=3))
            state[name] = draw(finite_halves(math.prod(shape))).reshape(shape)
    return state


@given(state=states(), codec=st.sampled_from([BROTLI, LZMA, NONE, RANGE]))
@settings(fuzz, max_examples=100)
def test_gives_back_any_state(path: Path, state: State, codec: dict[str, Any]) -> None:
    write(path, state, codec)
    assert equal(read_artifact(path).state, state)


MATRIX = torch.zeros(2, 3, dtype=torch.int8)
SCALE = torch.ones(2).half()


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (torch.zeros(2), "float16"),
        (torch.tensor([1e6]).half(), "not finite"),
        (Quantized(MATRIX.int(), SCALE, 6), "int8"),
        (Quantized(MATRIX[0], SCALE, 6), "int8"),
        (Quantized(MATRIX, torch.ones(3).half(), 6), "scale"),
        (Quantized(MATRIX, SCALE.float(), 6), "float16"),
        (Quantized(MATRIX, SCALE * float("nan"), 6), "not finite"),
        (Quantized(MATRIX + 32, SCALE, 6), "exceed 6 bits"),
        (Quantized(MATRIX - 33, SCALE, 6), "exceed 6 bits"),
        (Quantized(MATRIX, SCALE, 0), "1 to 8"),
        (Quantized(MATRIX, SCALE, 9), "1 to 8"),
        (torch.zeros(*[1] * 9).half(), "shape"),
    ],
)
def test_what_cannot_be_stored_is_named_and_leaves_the_old_file(
    path: Path, tensor: torch.Tensor | Quantized, problem: str
) -> None:
    path.write_bytes(b"old")
    with pytest.raises(ArtifactError, match=f"'culprit'.*{problem}"):
        write(path, {"fine": SCALE, "culprit": tensor})
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_model_that_is_not_json_is_refused(path: Path) -> None:
    for model in ({"_target_": "m", "x": object()}, {"_target_": "m", "x": math.nan}, {}):
        with pytest.raises(ContentError):
            write(path, {}, model=model)
    assert not path.exists()


OWN_CODEC = """
from golf.codec.joined import JoinedCodec

class Reverse(JoinedCodec):
    def __init__(self, *, times: int):
        self.times = times
    def compress(self, data):
        return data[::-1]
    def decompress(self, data, raw_bytes):
        return data[::-1]

class Lossy(Reverse):
    def decompress(self, data, raw_bytes):
        return data[::-1] if data.endswith(b"[") else bytes(raw_bytes)

class Longer(Reverse):
    def decompress(self, data, raw_bytes):
        return data[::-1] if data.endswith(b"[") else data[::-1] + bytes(2)

class Wider(Reverse):
    def decode(self, data, forms):
        return [array.astype("i4") for array in super().decode(data, forms)]
"""


def test_a_custom_codec_is_built_from_its_configuration(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_codec_module.py").write_text(OWN_CODEC)
    monkeypatch.syspath_prepend(tmp_path)
    own = {"_target_": "own_codec_module.Reverse", "times": 1}
    write(path, small_state(), own)
    assert equal(read_artifact(path, codec=own).state, small_state())
    assert read_artifact(path, codec=own).codec["name"] == "own_codec_module.Reverse"

    monkeypatch.delitem(sys.modules, "own_codec_module")
    for other in (None, BROTLI, own | {"times": 2}):
        with pytest.raises(ArtifactError, match=r"own_codec_module\.Reverse"):
            read_artifact(path, codec=other)
    assert "own_codec_module" not in sys.modules  # nothing that only the file names was imported


@pytest.mark.parametrize(
    ("name", "problem"), [("Lossy", "is not lossless"), ("Longer", "decodes to"), ("Wider", "decodes to")]
)
def test_a_lossy_codec_is_refused_when_writing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str
) -> None:
    (tmp_path / "lossy_codec_module.py").write_text(OWN_CODEC)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArtifactError, match=problem):
        write(path, small_state(), {"_target_": f"lossy_codec_module.{name}", "times": 1})
    assert not path.exists()


# Damage: any byte changed, lost or added.


def test_every_flipped_bit_and_every_truncation_is_found(path: Path, good_files: list[bytes]) -> None:
    path.touch()
    for good in good_files:
        damaged = [good[:position] for position in range(len(good))]
        for position in range(len(good)):
            changed = bytearray(good)
            changed[position] ^= 1 << position % 8
            damaged.append(bytes(changed))
        for data in damaged:
            put(path, data)
            with pytest.raises(ArtifactError) as caught:
                read_artifact(path)
            assert str(path) in str(caught.value)
            assert type(caught.value) is not ArtifactError


@st.composite
def damages(draw: Callable[..., Any]) -> Callable[[bytes], bytes]:
    """Replace a slice, anywhere, with noise or with another slice of the file."""
    where, length, source = draw(st.floats(0, 1)), draw(st.integers(0, 40)), draw(st.floats(0, 1))
    noise = draw(st.one_of(st.none(), st.binary(max_size=40)))

    def damage(data: bytes) -> bytes:
        start, other = round(where * len(data)), round(source * len(data))
        patch = data[other : other + length] if noise is None else noise
        return data[:start] + patch + data[start + length :]

    return damage


@given(damage=st.lists(damages(), min_size=1, max_size=3), which=st.integers(0, 2))
@fuzz
def test_nothing_damaged_loads(
    path: Path, good_files: list[bytes], damage: list[Callable[[bytes], bytes]], which: int
) -> None:
    good = data = good_files[which]
    for step in damage:
        data = step(data)
    assume(data != good)
    path.touch()
    put(path, data)
    with pytest.raises(ArtifactError):
        read_artifact(path)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", VersionError),
        (b"PK\x03\x04 a zip, as torch.save writes", VersionError),
        (b"\x80\x04\x95 a pickle", VersionError),
        (b"GOLF", SizeError),
        (struct.pack("<4sHI32s", b"GOLF", 2, 2, bytes(32)) + b"{}", VersionError),
        (struct.pack("<4sHI32s", b"GOLF", 1, 2**32 - 1, bytes(32)), SizeError),
        (struct.pack("<4sHI32s", b"GOLF", 1, 100, bytes(32)) + b"{}", SizeError),
        (struct.pack("<4sHI32s", b"GOLF", 1, 2, bytes(32)) + b"{}", DigestError),
    ],
)
def test_what_is_no_artifact(path: Path, data: bytes, error: type[ArtifactError]) -> None:
    path.write_bytes(data)
    with pytest.raises(error, match=r"artifact\.golf: "):
        read_artifact(path)


def test_a_file_that_cannot_be_opened(path: Path) -> None:
    for missing in (path, path.parent):
        with pytest.raises(ArtifactError, match=str(missing)):
            read_artifact(missing)


def test_a_tail_is_found(path: Path) -> None:
    write(path, small_state())
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(SizeError, match="sections"):
        read_artifact(path)


# Malice: the digests are right, the content is not.


def sealed(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<4sHI32s", b"GOLF", 1, len(header), hashlib.sha256(header).digest()) + header + body


def forge(path: Path, index: Any = INDEX, codes: bytes = CODES, floats: bytes = FLOATS, **fields: Any) -> Artifact:
    """Write any content with matching sizes and digests, uncompressed, and read it."""
    data = index if isinstance(index, bytes) else to_json("index", index)
    sections = [Section(name, raw, len(raw)) for name, raw in (("index", data), ("codes", codes), ("floats", floats))]
    write_container(path, FIELDS | fields, sections)
    return read_artifact(path)


def test_the_forger_can_write_a_good_file(path: Path) -> None:
    assert list(forge(path).state) == ["matrix", "vector"]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b"\xff\xfe",
        b'{"a":NaN}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":"\\ud800"}',
        b"1" * 5000,
        b"[" * 500_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        to_json("", {**FIELDS, "sections": 1}),
        to_json("", {**FIELDS, "sections": [1]}),
        to_json("", {**FIELDS, "sections": []}),
    ],
    ids=lambda header: repr(header[:20]),
)
def test_a_header_that_makes_no_sense(path: Path, header: bytes) -> None:
    path.write_bytes(sealed(header))
    with pytest.raises(ContentError, match=r"header|sections"):
        read_artifact(path)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"codec": "none"}, "codec"),
        ({"codec": {"name": "none"}}, "codec"),
        ({"codec": {"name": ["none"], "params": {}}}, "codec.name"),
        ({"codec": {"name": "none", "params": []}}, "codec.params"),
        ({"codec": {"name": "none", "params": {"quality": 1}}}, "codec"),
        ({"codec": {"name": "none", "params": {"self": 1}}}, "codec"),
        ({"codec": {"name": "brotli", "params": {"quality": [], "lgwin": 24, "byte_shuffle": True}}}, "codec.quality"),
        ({"codec": {"name": "brotli", "params": {"quality": 11, "lgwin": 24, "byte_shuffle": True}}}, "index.*brotli"),
        ({"model": []}, "model"),
        ({"model": {}}, "model"),
        ({"model": {"_target_": 1}}, "model"),
        ({"tokenizer_sha256": None}, "tokenizer_sha256"),
        ({"more": 1}, "header"),
    ],
)
def test_a_field_that_makes_no_sense(path: Path, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ContentError, match=named):
        forge(path, **fields)


@pytest.mark.parametrize("name", ["os.system", "golf.codec.brotli.Brotli", "builtins.print", ""])
def test_a_codec_that_is_not_built_in_is_never_built(path: Path, name: str) -> None:
    with pytest.raises(ArtifactError, match="not built in"):
        forge(path, codec={"name": name, "params": {}})


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (b"not json", ContentError),
        (b"[" * 100_000, ContentError),
        (b"[ ]", ContentError),
        ({}, ContentError),
        ([1], ContentError),
        ([["matrix", "int", [2, 3]]], ContentError),
        ([[*INDEX[0], 6], INDEX[1]], ContentError),
        ([[1, "int", [2, 3], 6], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3.0], 6], INDEX[1]], ContentError),
        ([["matrix", "int", [2, True], 6], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3], 6.0], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3], 0], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3], -1], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3], 10**9], INDEX[1]], ContentError),
        ([["matrix", "int", [2, 3, 1], 6], INDEX[1]], ContentError),
        ([["matrix", "int", [], 6], INDEX[1]], ContentError),
        ([["matrix", "float32", [2, 3], 16], INDEX[1]], ContentError),
        ([["matrix", "float16", [2, 3], 8], INDEX[1]], ContentError),
        ([["matrix", "int", [-2, -3], 6], INDEX[1]], ContentError),
        ([INDEX[0], ["vector", "float16", [1] * 9, 16]], ContentError),
        ([INDEX[0], ["matrix", "float16", [4], 16]], ContentError),
        ([["matrix", "int", [2, 4], 6], INDEX[1]], SizeError),
        ([["matrix", "int", [3, 2], 6], INDEX[1]], SizeError),
        ([INDEX[0]], SizeError),
        ([], SizeError),
        ([*INDEX, ["huge", "float16", [2**62, 2**62], 16]], SizeError),
        ([*INDEX, ["huge", "float16", [0, 2**62, 2**62], 16]], SizeError),
        ([*INDEX, ["huge", "float16", [0, 10**4000], 16]], SizeError),
        (b" " * (1 << 21), SizeError),
    ],
)
def test_an_index_that_makes_no_sense(path: Path, index: Any, error: type[ArtifactError]) -> None:
    with pytest.raises(error, match=r"artifact\.golf: "):
        forge(path, index=index)


def test_values_that_no_quantizer_writes(path: Path) -> None:
    with pytest.raises(ContentError, match=r"'matrix'.*exceed 6 bits"):
        forge(path, codes=b"\x20" + CODES[1:])
    for half in (b"\x00\x7c", b"\x00\xfc", b"\x01\x7e"):  # inf, -inf, NaN
        with pytest.raises(ContentError, match=r"'vector'.*finite") as caught:
            forge(path, floats=FLOATS[2:] + half)
        assert caught.value.code == Diverged.code


def sections() -> list[dict[str, Any]]:
    return [
        {"name": name, "raw_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "stored_bytes": len(data)}
        for name, data in (("index", to_json("", INDEX)), ("codes", CODES), ("floats", FLOATS))
    ]


def with_sections(entries: list[dict[str, Any]]) -> bytes:
    """A file whose content is right, with any list of sections."""
    return sealed(to_json("", {**FIELDS, "sections": entries}), to_json("", INDEX) + CODES + FLOATS)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "codes"}, ContentError),
        ({"name": "other"}, ContentError),
        ({"name": 3}, ContentError),
        ({"sha256": "0" * 64}, DigestError),
        ({"sha256": None}, ContentError),
        ({"raw_bytes": 13}, ArtifactError),
        ({"raw_bytes": -12}, SizeError),
        ({"raw_bytes": 2**40}, SizeError),
        ({"raw_bytes": 10**4000}, SizeError),
        ({"raw_bytes": 12.0}, ContentError),
        ({"raw_bytes": "12"}, ContentError),
        ({"stored_bytes": 11}, SizeError),
        ({"stored_bytes": 13}, SizeError),
        ({"stored_bytes": -12}, SizeError),
        ({"stored_bytes": 2**40}, SizeError),
        ({"stored_bytes": True}, ContentError),
        ({"offset": 0}, ContentError),
    ],
)
def test_a_list_of_sections_that_makes_no_sense(
    path: Path, changes: dict[str, Any], error: type[ArtifactError]
) -> None:
    path.write_bytes(with_sections(sections()))
    assert list(read_artifact(path).state) == ["matrix", "vector"]
    *others, last = sections()
    path.write_bytes(with_sections([*others, last | changes]))
    with pytest.raises(error, match=r"artifact\.golf: "):
        read_artifact(path)


def test_sizes_that_only_add_up(path: Path) -> None:
    index, codes, floats = sections()
    index["stored_bytes"] += codes["stored_bytes"] + 20
    codes["stored_bytes"] = -20
    path.write_bytes(with_sections([index, codes, floats]))
    with pytest.raises(SizeError, match="negative stored_bytes"):
        read_artifact(path)


def test_limits(path: Path) -> None:
    path.write_bytes(sealed(to_json("", {**FIELDS, "sections": [], "tokenizer_sha256": "x" * (1 << 20)})))
    with pytest.raises(SizeError, match="header: longer"):
        read_artifact(path)
    index, codes, floats = sections()
    path.write_bytes(with_sections([index, codes | {"raw_bytes": 600 << 20}, floats | {"raw_bytes": 600 << 20}]))
    with pytest.raises(SizeError, match="raw_bytes above"):
        read_artifact(path)


def test_only_one_spelling_of_the_header_is_read(path: Path) -> None:
    header = {**FIELDS, "sections": sections()}
    body = to_json("", INDEX) + CODES + FLOATS
    good = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(sealed(good.encode(), body))
    assert list(read_artifact(path).state) == ["matrix", "vector"]
    for other in (
        json.dumps(header, sort_keys=True, ensure_ascii=False),
        json.dumps(header, sort_keys=True, separators=(",", ":")),
        json.dumps(dict(reversed(header.items())), separators=(",", ":"), ensure_ascii=False),
        good + "\n",
    ):
        path.write_bytes(sealed(other.encode(), body))
        with pytest.raises(ContentError, match="canonical"):
            read_artifact(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def replaced(value: Any, choose: Callable[[int], int], new: Any) -> Any:
    """`value` with one of its parts, at any depth, replaced."""
    children = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    which = choose(len(children) + 1)
    if which == len(children):
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[children[which]] = replaced(value[children[which]], choose, new)
    return copy


@given(data=st.data(), new=json_values)
@fuzz
def test_any_content_is_either_read_or_refused(path: Path, data: st.DataObject, new: Any) -> None:
    """Header and index with a part of any other value, under right digests: an ArtifactError or nothing."""

    def choose(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    header = {**FIELDS, "sections": sections()}
    body, index = CODES + FLOATS, to_json("", INDEX)
    if data.draw(st.booleans()):
        header = replaced(header, choose, new)
    else:
        index = to_json("", replaced(INDEX, choose, new))
        header["sections"][0] |= {
            "raw_bytes": len(index),
            "stored_bytes": len(index),
            "sha256": hashlib.sha256(index).hexdigest(),
        }
    path.touch()
    put(path, sealed(to_json("", header), index + body))
    with suppress(ArtifactError):
        artifact = read_artifact(path)
        assert sum(tensor.numel() for tensor in artifact.tensors().values()) <= len(CODES) + len(FLOATS) // 2


# Estimates.


def test_bytes_per_tensor_is_the_entropy_that_the_record_states() -> None:
    """spec: Quantization. A unit Gaussian has 3.3275 bits per int6 code and 4.7152 per int8 code."""
    weights = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(0))
    state: State = {"plain": torch.zeros(3, 5).half()}
    for bits, k in ((6, 12.85), (8, 20.0)):
        top = 2 ** (bits - 1) - 1
        codes = (weights * (top / k)).round().clamp(-top, top).to(torch.int8)
        state[str(bits)] = Quantized(codes, torch.ones(1000).half(), bits)
    estimate = bytes_per_tensor(state)
    assert list(estimate) == list(state)
    assert estimate["plain"] == 30
    assert (estimate["6"] - 2000) * 8 / 1e6 == pytest.approx(3.3275, abs=0.003)
    assert (estimate["8"] - 2000) * 8 / 1e6 == pytest.approx(4.7152, abs=0.003)


def test_bytes_per_tensor_of_codes_that_say_nothing() -> None:
    state: State = {"zeros": Quantized(MATRIX, SCALE, 6), "empty": Quantized(MATRIX[:, :0], SCALE, 6)}
    assert bytes_per_tensor(state) == {"zeros": 4.0, "empty": 4.0}
