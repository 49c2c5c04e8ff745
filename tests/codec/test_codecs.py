"""Every codec gives back what it was given, and only that, in bounded memory."""

import inspect
import lzma
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.build import build, resolve
from golf.codec.base import Codec, CodecError, Form
from golf.codec.brotli import Brotli
from golf.codec.joined import JoinedCodec
from golf.codec.lzma import Lzma
from golf.codec.none import NoCodec
from golf.codec.range import Range
from golf.codec.shuffle import shuffle
from golf.errors import UserError

JOINED: list[JoinedCodec] = [
    Brotli(quality=5, lgwin=22, byte_shuffle=True),
    Brotli(quality=5, lgwin=22, byte_shuffle=False),
    Lzma(preset=0, byte_shuffle=True),
    Lzma(preset=0, byte_shuffle=False),
    NoCodec(),
]
COMPRESSING = JOINED[:4]
CODECS: list[Codec] = [*JOINED, Range()]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{type(codec).__name__}-{vars(codec)}")
every_joined = pytest.mark.parametrize("codec", JOINED, ids=lambda codec: f"{type(codec).__name__}-{vars(codec)}")
YAML_FILES = sorted((Path(__file__).parents[2] / "conf" / "codec").glob("*.yaml"))


def check(codec: Codec, arrays: list[np.ndarray]) -> None:
    """It gives back what it was given."""
    forms = [Form(array.dtype.str, array.shape) for array in arrays]
    for array, back in zip(arrays, codec.decode(codec.encode(arrays), forms), strict=True):
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("file", YAML_FILES, ids=lambda file: file.stem)
def test_yaml_states_every_parameter_and_python_none(file: Path) -> None:
    spec: dict[str, Any] = yaml.safe_load(file.read_text())
    parameters = inspect.signature(resolve(spec["_target_"])).parameters
    assert set(spec) - {"_target_"} == {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert all(p.default is p.empty for p in parameters.values() if p.kind is p.KEYWORD_ONLY)
    arrays = [np.arange(256, dtype=np.uint8).view(np.int8).reshape(16, 16)] * 20
    codec = build(spec)
    check(codec, arrays)


def test_there_is_a_yaml_for_each_codec() -> None:
    assert [file.stem for file in YAML_FILES] == ["brotli", "lzma", "none", "range"]


@every_codec
@given(
    dtype=st.sampled_from(["i1", "u1", "<f2"]),
    shapes=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=2), max_size=3),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=50)
def test_gives_back_arrays(codec: Codec, dtype: str, shapes: list[list[int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    check(codec, [generator.integers(-128, 128, shape, np.int8).astype(dtype) for shape in shapes])


@every_codec
def test_refuses_arrays_of_other_forms(codec: Codec) -> None:
    for dtype in ("i1", "<f2"):
        data = codec.encode([np.arange(6).astype(dtype).reshape(2, 3)])
        for other in ((2, 4), (3, 3), (0, 3), (1000, 1000)):
            with pytest.raises(CodecError):
                codec.decode(data, [Form(dtype, other)])


@every_joined
@given(data=st.binary(max_size=2000))
@settings(max_examples=50)
def test_gives_back_what_it_was_given(codec: JoinedCodec, data: bytes) -> None:
    assert codec.decompress(codec.compress(data), len(data)) == data


@pytest.mark.slow
@every_joined
def test_gives_back_megabytes(codec: JoinedCodec) -> None:
    """Longer than the steps in which brotli is decoded, stored and raw, and with much to come when the input ends."""
    generator = np.random.default_rng(0)
    codes = np.round(2.4 * generator.standard_normal(2_500_000)).astype(np.int8).tobytes()
    noise = generator.integers(0, 256, 500_000, np.uint8).tobytes()
    for data in (bytes(2_000_000) + noise + codes, codes + bytes(2_000_000)):
        assert codec.decompress(codec.compress(data), len(data)) == data


@every_joined
@pytest.mark.parametrize("wrong", [-1, 1, 1000])
def test_refuses_another_length(codec: JoinedCodec, wrong: int) -> None:
    data = bytes(range(200)) * 10
    with pytest.raises(CodecError):
        codec.decompress(codec.compress(data), len(data) + wrong)


@every_joined
def test_refuses_every_truncation_and_a_tail(codec: JoinedCodec) -> None:
    data = b"the quick brown fox jumps over the lazy dog"
    stored = codec.compress(data)
    for damaged in [stored[:n] for n in range(len(stored))] + [stored + b"x", stored + stored, stored + bytes(2 << 20)]:
        with pytest.raises(CodecError):
            codec.decompress(damaged, len(data))


@every_joined
@given(data=st.binary(max_size=300))
@settings(max_examples=50)
def test_raises_nothing_else_on_noise(codec: JoinedCodec, data: bytes) -> None:
    with suppress(CodecError):
        assert len(codec.decompress(data, 100)) == 100


@pytest.mark.slow
@pytest.mark.parametrize("codec", COMPRESSING, ids=lambda codec: type(codec).__name__)
def test_a_bomb_does_not_fill_the_memory(codec: JoinedCodec) -> None:
    bomb = codec.compress(bytes(1 << 26))
    assert len(bomb) < 20_000
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            codec.decompress(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_brotli_refuses_a_stream_without_its_end() -> None:
    compressor = brotli.Compressor()
    stored = compressor.process(b"all of it") + compressor.flush()
    codec = Brotli(quality=5, lgwin=22, byte_shuffle=False)
    assert codec.decompress(stored + compressor.finish(), 9) == b"all of it"
    with pytest.raises(CodecError, match="ends"):
        codec.decompress(stored, 9)


@pytest.mark.parametrize("step", [1, 7, 64, 1000])
def test_brotli_decodes_in_steps_of_any_size(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Also where a step of input gives many steps of output, and input has to wait."""
    noise = np.random.default_rng(0).integers(0, 256, 2000, np.uint8).tobytes()
    data = bytes(1 << 20) + noise + bytes(1 << 18) + noise[:500]
    codec = Brotli(quality=5, lgwin=16, byte_shuffle=False)
    monkeypatch.setattr("golf.codec.brotli.STEP", step)
    assert codec.decompress(codec.compress(data), len(data)) == data


def test_brotli_refuses_a_tail_that_starts_with_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Brotli(quality=5, lgwin=22, byte_shuffle=False)
    stored = codec.compress(b"all of it")
    monkeypatch.setattr("golf.codec.brotli.STEP", len(stored))
    assert codec.decompress(stored, 9) == b"all of it"
    with pytest.raises(CodecError, match="follow"):
        codec.decompress(stored + b"x", 9)


def test_lzma_refuses_a_stream_that_asks_for_gigabytes() -> None:
    codec = Lzma(preset=1, byte_shuffle=False)
    stored = bytearray(codec.compress(b"all of it"))
    header = slice(12, 12 + 4 * (stored[12] + 1))  # of the block: size, flags, filter 0x21, 1, dictionary, CRC-32
    assert stored[14:16] == b"\x21\x01"
    stored[16] = 37  # 1.5 GiB
    stored[header] = stored[header][:-4] + zlib.crc32(stored[header][:-4]).to_bytes(4, "little")
    assert lzma.decompress(stored) == b"all of it"
    with pytest.raises(CodecError, match="Memory"):
        codec.decompress(bytes(stored), 9)


def test_the_parameters_reach_the_compressors() -> None:
    data = bytes(i * i % 251 for i in range(30_000))
    for quality, lgwin in ((1, 22), (11, 24), (11, 10)):
        codec = Brotli(quality=quality, lgwin=lgwin, byte_shuffle=False)
        assert codec.compress(data) == brotli.compress(data, quality=quality, lgwin=lgwin)
    sizes = [len(Lzma(preset=preset, byte_shuffle=False).compress(data + bytes(1 << 19) + data)) for preset in (0, 9)]
    assert sizes[0] > sizes[1]


def test_byte_shuffle_comes_before_brotli() -> None:
    data = np.arange(5000, dtype="<u2").tobytes()
    stored = Brotli(quality=11, lgwin=24, byte_shuffle=True).compress(data)
    assert brotli.decompress(stored) == shuffle(data)
    assert len(stored) < len(Brotli(quality=11, lgwin=24, byte_shuffle=False).compress(data))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"_target_": "golf.codec.brotli.Brotli", "quality": 12, "lgwin": 24, "byte_shuffle": True}, "codec.quality"),
        ({"_target_": "golf.codec.brotli.Brotli", "quality": -1, "lgwin": 24, "byte_shuffle": True}, "codec.quality"),
        ({"_target_": "golf.codec.brotli.Brotli", "quality": 11, "lgwin": 25, "byte_shuffle": True}, "codec.lgwin"),
        ({"_target_": "golf.codec.brotli.Brotli", "quality": 5.0, "lgwin": 24, "byte_shuffle": True}, "codec.quality"),
        (
            {"_target_": "golf.codec.brotli.Brotli", "quality": 5, "lgwin": 24, "byte_shuffle": "no"},
            "codec.byte_shuffle",
        ),
        ({"_target_": "golf.codec.lzma.Lzma", "preset": 10, "byte_shuffle": True}, "codec.preset"),
        ({"_target_": "golf.codec.lzma.Lzma", "preset": True, "byte_shuffle": True}, "codec.preset"),
        ({"_target_": "golf.codec.lzma.Lzma", "preset": 1, "byte_shuffle": 0}, "codec.byte_shuffle"),
    ],
)
def test_a_wrong_parameter_is_named_at_once(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        build(wrong)
