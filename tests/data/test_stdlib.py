"""data=stdlib: built once, cached by content, ready to train on."""

import multiprocessing
import sys

import numpy as np
import pytest

from golf.data.prep import corpus
from golf.data.prep.stdlib import Stdlib
from golf.data.shard import read_shard
from golf.errors import UserError
from golf.events import Listener

SETTINGS = {
    "vocab_size": 512,
    "corpus_bytes": 300_000,
    "val_fraction": 0.1,
    "val_tokens": None,
    "seed": 3,
    "order": "global",
}
SETTINGS |= {"train_shards": 2, "character_coverage": 0.98, "split_digits": True}


class Heard(Listener):
    def __init__(self):
        self.events = []
        self.shown = []

    def event(self, name, **fields):
        self.events.append((name, fields))

    def progress(self, stage, done, total, **notes):
        self.shown.append((stage, done, total))


def open_stdlib(cache, **changes):
    heard = Heard()
    return Stdlib(**SETTINGS | {"cache_dir": str(cache)} | changes).open(heard), heard


def files_of(dataset):
    return [*dataset.train_files, *dataset.val_files, dataset.tokenizer]


@pytest.fixture
def built(tmp_path):
    return open_stdlib(tmp_path)


def test_a_corpus_is_ready_to_train_on(built):
    dataset, heard = built
    dataset.check(512, 256)
    assert dataset.seed == 3
    assert len(dataset.train_files) == 2
    ((name, fields),) = heard.events
    assert name == "corpus_built"
    assert heard.shown[-1] == ("data", 2, 2)
    train, val = corpus.split(corpus.documents(300_000), 0.1)
    assert (fields["train_documents"], fields["val_documents"]) == (len(train), len(val))
    assert int((np.array(read_shard(dataset.val_files[0])) == 1).sum()) == len(val)


def test_a_second_open_does_no_work(built, tmp_path):
    dataset, _ = built
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    again, heard = open_stdlib(tmp_path)
    assert again == dataset
    assert heard.events == heard.shown == []
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_the_same_text_makes_the_same_files(built, tmp_path_factory):
    other, _ = open_stdlib(tmp_path_factory.mktemp("other"))
    assert other.digests() == built[0].digests()


def test_a_damaged_entry_is_built_again(built, tmp_path):
    dataset, _ = built
    digests = dataset.digests()
    shard = dataset.train_files[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    again, heard = open_stdlib(tmp_path)
    assert [name for name, _ in heard.events] == ["corpus_built"]
    assert again.digests() == digests


@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 500},
        {"corpus_bytes": 250_000},
        {"val_fraction": 0.2},
        {"train_shards": 3},
        {"character_coverage": 0.99},
        {"split_digits": False},
    ],
)
def test_other_settings_are_another_entry(built, tmp_path, change):
    other, heard = open_stdlib(tmp_path, **change)
    assert len(heard.events) == 1
    assert other.tokenizer != built[0].tokenizer
    assert open_stdlib(tmp_path)[1].events == []


def test_what_does_not_change_the_files_shares_them(built, tmp_path):
    other, heard = open_stdlib(tmp_path, val_tokens=513, seed=None)
    assert heard.events == []
    assert len(other.validation(256)) == 513


def test_another_library_is_another_entry(built, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "_topics", lambda: {"only": "topic " * 200})
    other, _ = open_stdlib(tmp_path)
    assert other.tokenizer != built[0].tokenizer


def test_a_python_without_topics_has_modules(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    dataset, _ = open_stdlib(tmp_path)
    dataset.check(512, 256)


def open_and_check(cache):
    """How often the corpus was built, and the digests of its shards."""
    dataset, heard = open_stdlib(cache)
    dataset.check(512, 256)
    return [name for name, _ in heard.events].count("corpus_built"), dataset.digests()["train"]


def test_two_processes_at_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        (one, digests), (other, same) = pool.map(open_and_check, [tmp_path] * 2, chunksize=1)
    assert sorted((one, other)) == [0, 1]
    assert digests == same
    assert len([file for file in tmp_path.iterdir() if file.is_dir()]) == 1


def test_the_users_cache_directory_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert (tmp_path / "xdg" / "golf") in open_stdlib(None, cache_dir=None)[0].tokenizer.parents
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (tmp_path / ".cache" / "golf") in open_stdlib(None, cache_dir=None)[0].tokenizer.parents


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.cache_dir: .*file cannot be used"):
        open_stdlib(tmp_path / "file")


@pytest.mark.parametrize("change", [{"corpus_bytes": 10}, {"val_fraction": 0.0}, {"val_fraction": 1.0}])
def test_an_empty_side_is_refused(tmp_path, change):
    with pytest.raises(UserError, match=r"data\.corpus_bytes: .* too few"):
        open_stdlib(tmp_path, **change)
