"""A data set and the manifest beside it: what disagrees is named before anything runs."""

import json
import shutil

import pytest
from runs import run

from golf.data.fixture import Fixture
from golf.data.manifest import MANIFEST, Manifest, read_manifest, shard_entry, tokenizer_entry
from golf.data.shard import read_shard, write_shard
from golf.data.shards import Shards
from golf.errors import UserError
from golf.events import Listener
from golf.utils.hashing import sha256

FIXTURE = Fixture(val_tokens=None, seed=7, order="global").open(Listener())
SHARD = "corpus_train_000001.bin"
GLOBS = {"train_glob": "*_train_*.bin", "val_glob": "*_val_*.bin"}


@pytest.fixture
def directory(tmp_path):
    """A copy of the fixture with a manifest."""
    directory = tmp_path / "data"
    shutil.copytree(FIXTURE.tokenizer.parent, directory)
    Manifest(
        directory,
        source={"repository": "somebody/something"},
        tokenizer=tokenizer_entry(directory / FIXTURE.tokenizer.name),
        train=[shard_entry(directory / file.name) for file in FIXTURE.train_files],
        val=[shard_entry(directory / file.name) for file in FIXTURE.val_files],
    ).write()
    return directory


def opened(directory, tokenizer=None, **changes):
    settings = {"val_tokens": None, "seed": 7, "order": "global", **GLOBS, **changes}
    return Shards(path=str(directory), tokenizer=str(tokenizer or directory / "tokenizer.model"), **settings).open(
        Listener()
    )


def refused(directory, **changes) -> str:
    with pytest.raises(UserError) as error:
        opened(directory, **changes).check_manifest()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_matching_data_runs_and_provenance_has_its_digest(directory, tmp_path):
    shards = [f"data.path={directory}", f"data.tokenizer={directory}/tokenizer.model", "data.val_tokens=null"]
    quick = ["stages=[train]", "trainer.steps=1", "tracker=none"]
    results = run(tmp_path / "run", "data=shards", *shards, *quick)
    assert results["provenance"]["data"] == {**FIXTURE.digests(), "manifest": sha256(directory / MANIFEST)}
    (directory / SHARD).unlink()
    with pytest.raises(UserError, match=f"{SHARD}: is missing"):
        run(tmp_path / "other", "data=shards", *shards, *quick)
    assert not (tmp_path / "other" / "train.json").exists()


def test_a_part_of_the_shards_is_no_disagreement(directory):
    opened(directory, train_glob="*_train_000000.bin").check_manifest()


@pytest.mark.parametrize("name", [SHARD, "corpus_val_000000.bin", "tokenizer.model"])
def test_another_size_is_named(directory, name):
    path = directory / name
    size = path.stat().st_size
    with open(path, "ab") as file:
        file.write(b"\0\0")
    assert refused(directory).startswith(f"{path}: has {size + 2} bytes, but {directory}/manifest.json says {size}; ")


@pytest.mark.parametrize("name", [SHARD, "corpus_val_000000.bin", "tokenizer.model"])
def test_another_content_is_named(directory, name):
    path = directory / name
    content = bytearray(path.read_bytes())
    listed = sha256(path)
    content[-1] ^= 1
    path.write_bytes(content)
    message = f"{path}: has SHA-256 {sha256(path)}, but {directory}/manifest.json says {listed}; "
    assert refused(directory).startswith(message)


def test_a_missing_shard_is_named_though_the_rest_would_do(directory):
    (directory / SHARD).unlink()
    assert refused(directory).startswith(f"{directory}/{SHARD}: is missing, but {directory}/manifest.json lists it; ")


def test_a_shard_too_many_is_named(directory):
    write_shard(directory / "corpus_train_000002.bin", read_shard(directory / SHARD))
    assert refused(directory).startswith(f"{directory}/corpus_train_000002.bin: is not in {directory}/manifest.json; ")


def test_a_tokenizer_from_elsewhere_is_the_same_or_refused(directory, tmp_path):
    opened(directory, tokenizer=FIXTURE.tokenizer).check_manifest()
    other = tmp_path / "other.model"
    other.write_bytes(FIXTURE.tokenizer.read_bytes() + b"\0")
    assert refused(directory, tokenizer=other).startswith(f"{other}: has SHA-256 ")


@pytest.mark.parametrize("content", ["{", "[]", '{"corpus_val_000000.bin": "ab"}', '{"datasets": []}'])
def test_what_is_no_manifest_of_this_form(directory, content):
    """Damaged is an error; a cache's, or the challenge's own, is none of ours."""
    (directory / MANIFEST).write_text(content)
    if content == "{":
        assert refused(directory).startswith(f"{directory}/manifest.json: cannot be read as the manifest")
    else:
        assert opened(directory).digests() == FIXTURE.digests()


@pytest.mark.parametrize("damage", [{"val": None}, {"val": [{"file": "x"}]}, {"train": 3}, {"tokenizer": []}])
def test_a_damaged_manifest_is_an_error(directory, damage):
    content = json.loads((directory / MANIFEST).read_text()) | damage
    (directory / MANIFEST).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    assert refused(directory).startswith(f"{directory}/manifest.json: cannot be read as the manifest")


def test_a_manifest_is_read_as_it_was_written(directory):
    manifest = read_manifest(directory)
    assert manifest is not None
    assert manifest.source == {"repository": "somebody/something"}
    assert [entry["tokens"] for entry in manifest.train] == [len(read_shard(file)) for file in FIXTURE.train_files]
    assert manifest.tokenizer["vocab_size"] == 320
