"""Hostile artifacts are one typed error each, and hostile checkpoints too."""

import hashlib
import json
import math
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from fuzz.artifacts import Mutator, seal
from fuzz.mutate import put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golf.data.shard import shard_length
from golf.data.tokenizer import read_byte_table
from golf.errors import UserError
from golf.io.artifact import MAX_MESSAGE, MAX_TENSORS, read_artifact, write_artifact
from golf.io.checkpoint import read_checkpoint, write_checkpoint
from golf.io.container import ArtifactError, ContentError, DigestError, SizeError, VersionError, to_json
from golf.run.input_run import with_model_of
from golf.utils.reading import read_yaml

MUTATOR = Mutator("none")
BODY = b"".join(MUTATOR.stored)
sparing = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hostile.golf"


def refused(path: Path, data: bytes, *errors: type[ArtifactError]) -> str:
    put(path, data)
    with pytest.raises(ArtifactError) as caught:
        read_artifact(path)
    assert type(caught.value) in errors
    return str(caught.value).removeprefix(f"{path}: ")


@given(at=st.integers(0, len(MUTATOR.good) - 1))
@sparing
def test_cut_short_anywhere(path: Path, at: int) -> None:
    refused(path, MUTATOR.good[:at], VersionError if at < 4 else SizeError)


@given(version=st.integers(0, 2**16 - 1).filter(lambda version: version != 1), magic=st.binary(min_size=4, max_size=4))
@sparing
def test_another_version_and_another_magic(path: Path, version: int, magic: bytes) -> None:
    good = MUTATOR.good
    refused(path, good[:4] + version.to_bytes(2, "little") + good[6:], VersionError)
    if magic != good[:4]:
        refused(path, magic + good[4:], VersionError)


@given(order=st.lists(st.integers(0, 2), max_size=4).filter(lambda order: order != [0, 1, 2]))
@sparing
def test_sections_twice_dropped_or_in_another_order(path: Path, order: list[int]) -> None:
    listed, body = [MUTATOR.listed[i] for i in order], b"".join(MUTATOR.stored[i] for i in order)
    refused(path, seal({**MUTATOR.header, "sections": listed}, body), ContentError)


@given(
    which=st.integers(0, 2),
    key=st.sampled_from(["stored_bytes", "raw_bytes"]),
    size=st.one_of(st.integers(max_value=-1), st.integers(min_value=1 << 30)),
)
@sparing
def test_sizes_below_zero_and_above_the_limit(path: Path, which: int, key: str, size: int) -> None:
    listed = [dict(entry) for entry in MUTATOR.listed]
    listed[which][key] = size
    refused(path, seal({**MUTATOR.header, "sections": listed}, BODY), SizeError)


@given(moved=st.integers(-200, 200).filter(bool), at=st.integers(0, 1))
@sparing
def test_sections_that_overlap(path: Path, moved: int, at: int) -> None:
    """There are no offsets, so they can only be longer at the cost of another."""
    listed = [dict(entry) for entry in MUTATOR.listed]
    listed[at]["stored_bytes"] += moved
    refused(path, seal({**MUTATOR.header, "sections": listed}, BODY), SizeError)
    listed[at + 1]["stored_bytes"] -= moved
    refused(path, seal({**MUTATOR.header, "sections": listed}, BODY), DigestError, SizeError)


@given(shape=st.lists(st.integers(1 << 20, 1 << 70), min_size=2, max_size=8), zero=st.booleans())
@sparing
def test_huge_shapes(path: Path, shape: list[int], zero: bool) -> None:
    entry = ["huge", "float16", [0, *shape[1:], 1 << 31] if zero else shape, 16]
    refused(path, with_index([*json.loads(MUTATOR.stored[0]), entry][-4:]), SizeError, ContentError)


@given(depth=st.integers(1, 100_000), bracket=st.sampled_from([("[", "]"), ('{"a":', "}")]), closed=st.booleans())
@settings(sparing, max_examples=20)
def test_json_of_any_depth(path: Path, depth: int, bracket: tuple[str, str], closed: bool) -> None:
    text = bracket[0] * depth + "1" + bracket[1] * depth * closed
    refused(path, seal(text.encode(), BODY), ContentError)
    deep = json.dumps(MUTATOR.header, sort_keys=True, separators=(",", ":")).replace("[1,null,0.5]", text).encode()
    put(path, seal(deep, BODY))
    with suppress(ContentError):  # a model may be nested a little
        assert read_artifact(path).model["list"] != [1, None, 0.5]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"0.5", b"NaN"),
        lambda text: text.replace(b"0.5", b"-Infinity"),
        lambda text: text.replace(b"0.5", b"1e999"),
        lambda text: text.replace(b"0.5", b"0" * 9),
        lambda text: text.replace(b"abab", b"\xff\xfe"),
        lambda text: text.replace(b"abab", b"\\ud800"),
        lambda text: text.replace(b'"width"', b'"list"'),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
    ],
    ids=["nan", "infinity", "overflow", "zeros", "no_utf8", "surrogate", "name_twice", "mark", "utf16"],
)
def test_a_header_that_is_not_our_json(path: Path, change: Callable[[bytes], bytes]) -> None:
    header = json.dumps(MUTATOR.header, sort_keys=True, separators=(",", ":")).encode()
    assert change(header) != header
    refused(path, seal(change(header), BODY), ContentError)


def with_index(index: Any) -> bytes:
    """A file of this index whose other sections are as they were."""
    text = to_json("", index)
    listed = [dict(entry) for entry in MUTATOR.listed]
    listed[0] |= {"raw_bytes": len(text), "stored_bytes": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    return seal({**MUTATOR.header, "sections": listed}, text + b"".join(MUTATOR.stored[1:]))


def test_too_many_tensors(path: Path) -> None:
    """Each costs time, though its shape may say that it has nothing in it."""
    good = json.loads(MUTATOR.stored[0])
    empty = [[str(i), "float16", [0], 16] for i in range(MAX_TENSORS)]
    put(path, with_index([*good, *empty[len(good) :]]))
    assert len(read_artifact(path).state) == MAX_TENSORS
    assert "tensors" in refused(path, with_index([*good, *empty]), SizeError)


@pytest.mark.parametrize("key", ["quality", "x\n\x1b[2J", "x" * 100_000])
@pytest.mark.parametrize("value", ["y\n\x1b[2J" * 10_000, [1] * 100_000])
def test_an_error_is_one_short_line_whatever_it_quotes(path: Path, key: str, value: Any) -> None:
    params = {"quality": 5, "lgwin": 22, "byte_shuffle": True, key: value}
    problem = refused(path, seal({**MUTATOR.header, "codec": {"name": "brotli", "params": params}}, BODY), ContentError)
    assert problem.isprintable()
    assert len(problem) <= MAX_MESSAGE


def test_parameters_that_name_another_codec(path: Path) -> None:
    codec = {"name": "none", "params": {"_target_": "os.system"}}
    assert "_target_" in refused(path, seal({**MUTATOR.header, "codec": codec}, BODY), ContentError)


# Checkpoints


class Malice:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def checkpoint(**changes: Any) -> Any:
    good = {"model": {"_target_": "m"}, "tokenizer_sha256": "ab" * 32, "raw": {"w": torch.ones(40)}, "ema": None}
    return good | changes


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_a_checkpoint_executes_nothing(tmp_path: Path, device: str, save: Callable[[Any, Path], None]) -> None:
    path, marker = tmp_path / "checkpoint.pt", tmp_path / "executed"
    save(checkpoint(model=Malice(marker)), path)
    with pytest.raises(UserError, match=r"checkpoint\.pt: cannot be read as a checkpoint") as caught:
        read_checkpoint(path, device)
    assert len(str(caught.value).splitlines()) == 1
    assert not marker.exists()
    torch.load(path, weights_only=False) if save is torch.save else pickle.loads(path.read_bytes())
    assert marker.exists()  # the attack is one


def test_a_checkpoint_cut_short_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, checkpoint())
    good = path.read_bytes()
    assert read_checkpoint(path, "cpu")["raw"]["w"].sum() == 40
    for at in range(0, len(good), math.ceil(len(good) / 60)):
        put(path, good[:at])
        with pytest.raises(UserError, match="cannot be read as a checkpoint"):
            read_checkpoint(path, "cpu")


@pytest.mark.parametrize(
    "changes",
    [{"model": []}, {"tokenizer_sha256": 1}, {"raw": [1]}, {"raw": {"w": 1}}, {"ema": {1: torch.ones(1)}}, {"more": 1}],
    ids=str,
)
def test_a_checkpoint_of_other_values(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(checkpoint(**changes), path)
    with pytest.raises(UserError, match="is not a checkpoint of golf"):
        read_checkpoint(path, "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("claim", [{"num_layers": 300_000}, {"num_layers": 60}, {"num_loops": 10**8}], ids=str)
@pytest.mark.parametrize("kind", ["artifact.golf", "checkpoint.pt"])
def test_a_model_of_more_layers_than_stored(tiny_submission, tmp_path, kind, claim):
    """It is refused before any of them is made."""
    run, path = tiny_submission / "sweep" / "seed=42", tmp_path / kind
    config = read_yaml(run / "config.yaml")
    model = {**config["model"], **claim}
    if kind == "artifact.golf":
        state = read_artifact(run / kind, codec=config["codec"]).state
        write_artifact(path, state, model=model, tokenizer_sha256="", codec=config["codec"])
    else:
        torch.save({**torch.load(run / kind), "model": model}, path)
    with pytest.raises(UserError, match=r"63 tensors") as caught:
        with_model_of(path, kind, config, frozenset())
    assert str(path) in str(caught.value)
    with_model_of(run / kind, kind, config, frozenset())


def test_a_checkpoint_with_a_part_that_is_compressed(tmp_path):
    """It would take more memory than the file has bytes."""
    torch.save(checkpoint(raw={"w": torch.zeros(10**6)}), tmp_path / "whole.pt")
    with ZipFile(tmp_path / "whole.pt") as whole, ZipFile(tmp_path / "checkpoint.pt", "w", ZIP_DEFLATED) as small:
        for name in whole.namelist():
            small.writestr(name, whole.read(name))
    with pytest.raises(UserError, match=r"cannot be read as a checkpoint \(compressed\)"):
        read_checkpoint(tmp_path / "checkpoint.pt", "cpu")


def test_a_pipe_in_place_of_a_model_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_artifact, lambda path: read_checkpoint(path, "cpu"), read_byte_table, shard_length):
        with pytest.raises(UserError, match=r"/pipe: "):
            read(tmp_path / "pipe")
