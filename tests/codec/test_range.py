"""The range codec: as small as it claims, the same bytes everywhere, and nothing else is ever decoded."""

import json
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.codec.adaptive import TOTAL, frequencies_of
from golf.codec.base import CodecError, Form
from golf.codec.range import Range
from golf.codec.row_delta import join, split

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures" / "range.json").read_text())
CODEC = Range()


def forms_of(arrays: list[np.ndarray]) -> list[Form]:
    return [Form(array.dtype.str, array.shape) for array in arrays]


def entropy_bytes(matrices: list[np.ndarray]) -> float:
    """Order-0 entropy, each matrix by itself."""
    counts = [np.unique(matrix, return_counts=True)[1] for matrix in matrices]
    return sum(float((count * np.log2(count.sum() / count)).sum()) for count in counts) / 8


def gaussian(rows: int, columns: int, spread: float = 0.0, seed: int = 0) -> np.ndarray:
    """The int6 codes of rows of one scale; columns' logarithms of theirs are spread."""
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((rows, columns)) * np.exp(spread * generator.standard_normal(columns))
    return np.rint(31 / 12.85 * weight / weight.std(axis=1, keepdims=True)).clip(-31, 31).astype(np.int8)


# The bytes


def golden_arrays() -> list[np.ndarray]:
    """Sums of three digits of a linear congruential generator's numbers, with rows that are all but repeated; all codes
    there are; zeros."""
    state, numbers = 1, []
    for _ in range(40 * 24):
        state = (state * 1103515245 + 12345) % 2**31
        numbers.append((state >> 8) % 7 + (state >> 14) % 7 + (state >> 20) % 7 - 9)
    bells = np.array(numbers, np.int8).reshape(40, 24)
    bells[20:30] = bells[19]
    bells[25, 3] += 1
    return [bells, np.arange(256, dtype=np.uint8).view(np.int8).reshape(8, 32), np.zeros((5, 7), np.int8)]


def test_the_golden_bytes() -> None:
    """What is decoded on one platform was encoded on another, with any version of the package that is allowed."""
    arrays, stored = golden_arrays(), bytes.fromhex(GOLDEN["stored"])
    assert CODEC.encode(arrays) == stored
    for array, back in zip(arrays, CODEC.decode(stored, forms_of(arrays)), strict=True):
        assert np.array_equal(array, back)


def test_a_view_is_coded_as_its_copy() -> None:
    view = gaussian(60, 40).T[::2, ::-1]
    assert CODEC.encode([view]) == CODEC.encode([view.copy()])


@given(counts=st.lists(st.lists(st.integers(0, 2**30), min_size=5, max_size=5), min_size=1, max_size=8))
def test_frequencies_are_integers_that_sum_to_a_power_of_two(counts: list[list[int]]) -> None:
    """So that in float64 nothing is rounded; also for as many codes as an artifact can have."""
    for before in (np.zeros(5, np.int64), np.array(counts[0])):
        frequencies = frequencies_of(np.array(counts) // 64, before)
        assert frequencies.dtype == np.int64
        assert (frequencies >= 0).all()
        assert (frequencies.sum(axis=1) == TOTAL).all()


# The size


def test_codes_take_their_entropy() -> None:
    matrices = [gaussian(512, 512, seed=seed) for seed in range(4)]
    assert len(CODEC.encode(matrices)) <= 1.002 * entropy_bytes(matrices)


def test_columns_that_differ_take_less() -> None:
    """Their own entropies are 2.9 % below that of all codes together at this spread."""
    matrices = [gaussian(1024, 512, 0.3, seed) for seed in range(2)]
    assert len(CODEC.encode(matrices)) <= 0.977 * entropy_bytes(matrices)


def test_rows_near_the_one_above_take_little() -> None:
    codes = gaussian(400, 128)
    codes[100:300] = codes[99]
    codes[150:300:2, ::16] += 1
    without = np.delete(codes, np.s_[100:300], axis=0)
    assert len(CODEC.encode([codes])) <= len(CODEC.encode([without])) + 200 * 128 / 8


@given(
    rows=st.lists(st.integers(0, 3), max_size=12),
    seed=st.integers(0, 2**31),
    noise=st.integers(0, 2),
    columns=st.integers(0, 4),
)
def test_near_rows_come_back(rows: list[int], seed: int, noise: int, columns: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(-128, 128, (4, columns), np.int8)[rows]
    codes += generator.integers(-noise, noise + 1, codes.shape, np.int8)
    parts = split(codes)
    assert not parts[0][:1].any()
    assert np.array_equal(join(*parts), codes)
    (back,) = CODEC.decode(CODEC.encode([codes]), forms_of([codes]))
    assert np.array_equal(back, codes)


# Damage and malice


def test_every_flipped_bit_every_truncation_and_a_tail_are_found() -> None:
    forms, stored = forms_of(golden_arrays()), bytes.fromhex(GOLDEN["stored"])
    damaged = [stored[:position] for position in range(len(stored))]
    damaged += [stored + tail for tail in (b"x", bytes(4), b"tail", stored)]
    for position in range(len(stored)):
        changed = bytearray(stored)
        changed[position] ^= 1 << position % 8
        damaged.append(bytes(changed))
    for data in damaged:
        with pytest.raises(CodecError, match="range"):
            CODEC.decode(data, forms)
    zeros = [np.zeros((5, 7), np.int8)]  # for which no word is read
    with pytest.raises(CodecError, match="followed"):
        CODEC.decode(CODEC.encode(zeros) + b"tail", forms_of(zeros))


@given(data=st.binary(max_size=60), shapes=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=3))
@settings(max_examples=200)
def test_noise_is_refused_or_decodes_to_the_forms(data: bytes, shapes: list[tuple[int, int]]) -> None:
    with suppress(CodecError):
        arrays = CODEC.decode(data, [Form("i1", shape) for shape in shapes])
        assert [array.shape for array in arrays] == shapes


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_ends_of_what_has_no_codes(shape: tuple[int, int]) -> None:
    with pytest.raises(CodecError):
        CODEC.decode(bytes(4) + np.array([0, 1] * 3, np.int8).tobytes(), [Form("i1", shape)])


@pytest.mark.parametrize(
    ("shape", "memory"), [((1000, 1000), 8 << 20), ((1 << 21, 1), 1 << 20), ((1, 1 << 30), 1 << 20)]
)
def test_a_few_bytes_do_not_fill_the_memory(shape: tuple[int, int], memory: int) -> None:
    """All rows but the first are said to be near, which takes the most."""
    ends = np.array([0, 1, -128, 127, -128, 127], np.int8).tobytes()
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            CODEC.decode(bytes(4) + ends + b"\0\0\0\1", [Form("i1", shape)])
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
