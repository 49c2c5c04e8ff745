"""Data sets: the validation stream, what is refused before training, and the digests."""

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golf.data import shard
from golf.data.dataset import Dataset
from golf.data.fixture import Fixture
from golf.data.shard import read_shard, write_shard
from golf.data.shards import Shards
from golf.errors import UserError
from golf.events import Listener

FIXTURE = Fixture(val_tokens=None, seed=7, order="global").open(Listener())


def dataset(tmp_path, train=(40, 60), val=(25, 10), **changes) -> Dataset:
    """Shards of the lengths given; all validation shards in a row count 0, 1, 2, …"""
    numbers = np.arange(sum(val))
    for kind, lengths in (("train", train), ("val", val)):
        for index, length in enumerate(lengths):
            start = sum(lengths[:index])
            write_shard(
                tmp_path / f"x_{kind}_{index:06d}.bin",
                numbers[start : start + length] if kind == "val" else np.zeros(length, int),
            )
    files = {f"{kind}_files": sorted(tmp_path.glob(f"x_{kind}_*.bin")) for kind in ("train", "val")}
    return replace(FIXTURE, **files, **changes)


@pytest.mark.parametrize(
    ("seq_len", "val_tokens", "length"),
    [(16, None, 33), (17, None, 35), (34, None, 35), (16, 33, 33), (16, 32, 17), (16, 17, 17), (16, 1000, 33)],
)
def test_validation_is_the_start_of_all_shards(tmp_path, seq_len, val_tokens, length):
    stream = dataset(tmp_path, val_tokens=val_tokens).validation(seq_len)
    assert stream.dtype == np.uint16
    assert stream.tolist() == list(range(length))


def test_what_fits_passes(tmp_path):
    dataset(tmp_path).check(320, 32)
    FIXTURE.check(320, 64)


def test_a_shard_that_is_trained_on_is_not_scored(tmp_path):
    data = dataset(tmp_path, train=(40, 60, 60))
    shutil.copy(data.train_files[1], data.val_files[1])
    with pytest.raises(UserError, match=r"x_train_000001\.bin: .* holds what .*x_val_000001\.bin is scored on"):
        data.check(320, 16)


def test_vocabulary_mismatch_names_both_and_the_key(tmp_path):
    with pytest.raises(UserError, match=r"model\.vocab_size is 1024, .*tokenizer\.model has 320 pieces"):
        dataset(tmp_path).check(1024, 16)


@pytest.mark.parametrize(
    ("shape", "seq_len", "message"),
    [
        ({"train": (10, 32)}, 32, "longest training shard has 32 tokens, fewer than one sequence of 32 \\+ 1"),
        ({"val": (8, 8)}, 16, "16 validation tokens, fewer than one sequence of 16 \\+ 1"),
        ({"val_tokens": 16}, 16, "16 validation tokens, fewer"),
        ({"val_tokens": -5}, 16, r"data\.val_tokens=-5 must be at least 1"),
        ({"train": (0,)}, 16, "longest training shard has 0 tokens"),
        ({"val": (0,)}, 16, "0 validation tokens"),
    ],
)
def test_too_little_data_is_refused(tmp_path, shape, seq_len, message):
    with pytest.raises(UserError, match=message):
        dataset(tmp_path, **shape).check(320, seq_len)


def test_one_long_training_shard_is_enough(tmp_path):
    dataset(tmp_path, train=(10, 33)).check(320, 32)


@pytest.mark.parametrize(
    ("name", "at"), [("x_train_000000.bin", 5), ("x_train_000001.bin", 40), ("x_val_000001.bin", 5)]
)
def test_a_token_outside_the_vocabulary_is_located(tmp_path, monkeypatch, name, at):
    monkeypatch.setattr(shard, "CHUNK_BYTES", 16)
    data = dataset(tmp_path)
    tokens = np.array(read_shard(tmp_path / name))
    tokens[3], tokens[at] = 319, 320
    write_shard(tmp_path / name, tokens)
    with pytest.raises(UserError, match=rf"{name}: token 320 at position {at} is not in the vocabulary of 320"):
        data.check(320, 16)


@pytest.mark.parametrize("seq_len", [0, -1])
def test_sequences_have_a_length(tmp_path, seq_len):
    with pytest.raises(UserError, match=rf"model\.seq_len={seq_len} must be at least 1"):
        dataset(tmp_path).check(320, seq_len)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range(tmp_path, seed):
    with pytest.raises(UserError, match=rf"data\.seed={seed} must be from 0 to 2\*\*63 - 1"):
        dataset(tmp_path, seed=seed).check(320, 16)
    dataset(tmp_path, seed=2**63 - 1).check(320, 16)


def test_digests_are_those_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(shard, "CHUNK_BYTES", 16)
    data = dataset(tmp_path)
    digests = data.digests()
    assert digests["tokenizer"]["vocab_size"] == 320
    assert digests["tokenizer"]["sha256"] == hashlib.sha256(data.tokenizer.read_bytes()).hexdigest()
    assert [(entry["file"], entry["tokens"]) for entry in digests["train"]] == [
        ("x_train_000000.bin", 40),
        ("x_train_000001.bin", 60),
    ]
    for entry in digests["train"] + digests["val"]:
        assert entry["sha256"] == hashlib.sha256((tmp_path / entry["file"]).read_bytes()).hexdigest()


def shards(directory: Path, **changes) -> Shards:
    settings = {
        "path": str(directory),
        "tokenizer": str(directory / "tokenizer.model"),
        "train_glob": "*_train_*.bin",
        "val_glob": "*_val_*.bin",
        "val_tokens": None,
        "seed": 7,
        "order": "global",
    }
    return Shards(**settings | changes)


@pytest.fixture
def directory(tmp_path):
    shutil.copytree(FIXTURE.tokenizer.parent, tmp_path / "data")
    return tmp_path / "data"


def test_a_directory_of_shards_opens(directory):
    opened = shards(directory, order="record").open(Listener())
    assert opened.digests() == FIXTURE.digests()
    assert (opened.seed, opened.order) == (7, "record")
    opened.check(320, 64)


def test_paths_are_relative_to_the_working_directory(directory, monkeypatch):
    monkeypatch.chdir(directory.parent)
    opened = shards(directory, path="data", tokenizer="data/tokenizer.model").open(Listener())
    assert opened.digests() == FIXTURE.digests()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "no/where"}, r"data\.path: there is no directory no/where"),
        ({"tokenizer": "no.model"}, r"data\.tokenizer: there is no file no\.model"),
        ({"train_glob": "a_*.bin"}, r"data\.train_glob: no file in .*/data matches a_\*\.bin"),
        ({"train_glob": ""}, r"data\.train_glob=: is not a pattern of files below data\.path"),
        ({"val_glob": "."}, r"data\.val_glob=\.: "),
        ({"val_glob": "/data/*.bin"}, r"data\.val_glob=/data/\*\.bin: is not a pattern of files below data\.path"),
        ({"val_glob": "b_*.bin"}, r"data\.val_glob: no file in .*/data matches b_\*\.bin"),
    ],
)
def test_what_is_missing_is_named_with_its_key(directory, changes, message):
    with pytest.raises(UserError, match=message):
        shards(directory, **changes).open(Listener())


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_pipe_among_the_shards_is_named_at_once(directory, split):
    pipe = directory / f"corpus_{split}_999999.bin"
    os.mkfifo(pipe)
    found = shards(directory).open(Listener())
    found.check_manifest()
    with pytest.raises(UserError, match=f"^{pipe}: is no regular file$"):
        found.check(320, 16)
