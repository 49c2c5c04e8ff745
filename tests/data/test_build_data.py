"""`python -m golf.data build`: documents to a data set, the same with any number of workers, in bounded memory."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from select import select

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from golf.data.__main__ import main
from golf.data.manifest import read_manifest
from golf.data.prep import build as module
from golf.data.prep import corpus, encode
from golf.data.prep.build import Options, build
from golf.data.shard import read_shard
from golf.data.shards import Shards
from golf.errors import UserError
from golf.events import Listener

TEXTS = [document.text for document in corpus.documents(300_000)]
TEXTS += ["", "▁one\ttwo  three \r\n", "a\0b", "½ ™ 😀 \ufb01 <s> <0x41> \u2028", "long " * 3000]
OPTIONS = {"vocab": 400, "val_documents": 7, "workers": 1, "shard_tokens": 20_000}


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """The texts in two files of lines, with one text file between them."""
    directory = tmp_path_factory.mktemp("documents")
    files = [directory / "a.jsonl", directory / "b.txt", directory / "c.jsonl"]
    for file, texts in zip(files, (TEXTS[:9], TEXTS[9:10], TEXTS[10:]), strict=True):
        if file.suffix == ".txt":
            file.write_bytes(texts[0].encode())
        else:
            file.write_text("".join(json.dumps({"text": text, "id": 3}) + "\n" for text in texts))
    return files


@pytest.fixture(scope="module")
def small_batches():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "BATCH_CHARACTERS", 10_000)
        yield


def built(documents, output, **changes):
    build(documents, output, Options(**OPTIONS | changes), Listener())
    return contents(output)


def contents(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@pytest.fixture(scope="module")
def data(documents, small_batches, tmp_path_factory):
    """The directory that one worker built."""
    output = tmp_path_factory.mktemp("built") / "data"
    built(documents, output)
    return output


def streams(directory):
    return {
        split: np.concatenate([read_shard(file) for file in sorted(directory.glob(f"*_{split}_*.bin"))])
        for split in ("val", "train")
    }


def test_documents_follow_their_bos_and_the_first_validate(data):
    model = SentencePieceProcessor(model_file=str(data / "tokenizer.model"))
    found = {}
    for split, stream in streams(data).items():
        starts = [*np.flatnonzero(stream == 1), len(stream)]
        assert starts[0] == 0
        found[split] = [model.decode(stream[start + 1 : end].tolist()) for start, end in pairwise(starts)]
    texts = [text.replace("▁", " ") for text in TEXTS]
    assert found == {"val": texts[:7], "train": texts[7:]}
    assert model.vocab_size() == 400


def test_shards_are_full_but_the_last(data):
    lengths = [len(read_shard(file)) for file in sorted(data.glob("*_train_*.bin"))]
    assert len(lengths) > 2
    assert set(lengths[:-1]) == {20_000}
    assert 0 < lengths[-1] <= 20_000


def test_a_run_takes_it_and_the_manifest_says_what_it_is(data, documents):
    manifest = read_manifest(data)
    assert manifest.source["files"] == 3
    assert manifest.source["bytes"] == sum(file.stat().st_size for file in documents)
    assert (manifest.source["documents"], manifest.source["val_documents"]) == (len(TEXTS), 7)
    listed = {file["file"] for file in manifest.files}
    assert {file.name for file in data.iterdir()} == {*listed, "manifest.json"}
    settings = {"train_glob": "*_train_*.bin", "val_glob": "*_val_*.bin"}
    opened = Shards(
        path=str(data),
        tokenizer=str(data / "tokenizer.model"),
        **settings,
        val_tokens=None,
        seed=None,
        order="global",
    ).open(Listener())
    opened.check_manifest()
    opened.check(400, 64)
    assert opened.digests()["manifest"] is not None


def test_any_number_of_workers_makes_the_same_bytes(data, documents, small_batches, tmp_path, monkeypatch, capsys):
    """By the command, and with processes that it starts."""
    command = ["golf.data", "build", *map(str, documents), "--output", str(tmp_path / "data"), "--workers", "3"]
    command += ["--vocab", "400", "--val-documents", "7", "--shard-tokens", "20000"]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 0
    assert "built" in capsys.readouterr().out
    assert contents(tmp_path / "data") == contents(data)
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == ["data"]


def test_batches_of_other_sizes_make_the_same_bytes(data, documents, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "BATCH_CHARACTERS", 1)
    assert built(documents, tmp_path / "data") == contents(data)


def test_manifest_depends_on_the_inputs_beyond_their_texts(data, documents, tmp_path):
    (tmp_path / "c.jsonl").write_bytes(documents[2].read_bytes().replace(b'"id": 3', b'"id": 4'))
    other, one = built([*documents[:2], tmp_path / "c.jsonl"], tmp_path / "data"), contents(data)
    assert {name for name in one if one[name] != other[name]} == {"manifest.json"}


def test_never_are_more_than_so_many_documents_in_memory():
    taken = []

    def documents():
        for number in range(50):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(2) as pool:
        for done, result in enumerate(encode.in_order(pool, lambda number: number, documents(), 6)):
            assert result == done
            assert len(taken) <= done + 6
    assert len(taken) == 50


def test_a_batch_is_not_read_before_it_is_wanted():
    taken = []

    def documents():
        for number in range(10):
            taken.append(number)
            yield str(number), "x" * encode.BATCH_CHARACTERS

    found = encode.batches(documents())
    for number in range(10):
        assert [name for name, _ in next(found)] == [str(number)]
        assert len(taken) == number + 1


def test_the_sample_is_bounded_spread_and_without_validation(documents, monkeypatch):
    size = sum(file.stat().st_size for file in documents)
    number, everything = module._sample(documents, 7, size)
    assert number == len(TEXTS)
    assert everything == TEXTS[7:]
    monkeypatch.setattr(module, "SAMPLE_BYTES", 40_000)
    sample = module._sample(documents, 7, size)[1]
    assert sum(len(text.encode()) for text in sample) <= 40_000
    places = [TEXTS.index(text) for text in sample[:-1]]
    assert min(places) < len(TEXTS) // 2 < max(places)
    assert module._sample(documents, 7, size)[1] == sample


def test_long_lines_are_trained_on_too():
    assert list(module._lines(["ab\n\n" + "x" * 1001, "é"])) == ["ab", "x" * 1000, "x", "é"]


def test_a_document_that_does_not_come_back_is_named(sp8192, data):
    """SP8192's normaliser changes characters, which is no error; to lose one is."""
    good = ("a", "½ ™  two  spaces ")
    assert len(encode.Encoder(sp8192).encode([good])) > 1
    lossy = encode.Encoder(data / "tokenizer.model")
    lossy._model = Losing(lossy._model)
    with pytest.raises(UserError, match=r"^docs: document 2: decoding its tokens does not give back its normalised"):
        lossy.encode([("docs: document 1", "all"), ("docs: document 2", "quite all")])


class Losing:
    """A model that forgets a letter."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def decode(self, ids):
        return self._model.decode(ids).replace("q", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab": 260}, "--vocab=260 must be from 261"),
        ({"vocab": 65_537}, "--vocab=65537 must be from 261"),
        ({"vocab": 60_000}, "--vocab: no tokenizer of 60000 pieces can be trained"),
        ({"val_documents": 0}, "--val-documents=0 must be at least 1"),
        ({"val_documents": len(TEXTS)}, f"--val-documents={len(TEXTS)}: of {len(TEXTS)} documents none is left"),
        ({"workers": 0}, "--workers=0 must be at least 1"),
        ({"shard_tokens": 0}, "--shard-tokens=0 must be from 1"),
    ],
)
def test_options_that_do_not_fit_are_named(documents, tmp_path, changes, message):
    with pytest.raises(UserError) as error:
        built(documents, tmp_path / "data", **changes)
    assert str(error.value).startswith(message)
    assert {file.name for file in tmp_path.iterdir()} <= {".data.lock"}


def test_unreadable_inputs_are_named_and_nothing_is_left(documents, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"no": "text"}\n')
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "there").mkdir()
    for inputs, output, message in [
        ([tmp_path / "x.txt"], "data", f"{tmp_path}/x.txt: there is no such file"),
        ([tmp_path], "data", f"{tmp_path}: is neither a text (.txt) nor JSON lines (.jsonl)"),
        ([documents[0], documents[0]], "data", f"{documents[0]}: is given twice"),
        ([tmp_path / "bad.jsonl"], "data", f"{tmp_path}/bad.jsonl: line 2: is no JSON object whose"),
        ([tmp_path / "bad.txt"], "data", f"{tmp_path}/bad.txt: is not UTF-8 text (byte 0)"),
        (documents, "there", f"--output={tmp_path}/there exists; delete it, or choose another"),
        (documents, "bad.txt/data", f"--output={tmp_path}/bad.txt/data cannot be written ("),
    ]:
        monkeypatch.setattr(sys, "argv", ["golf.data", "build", *map(str, inputs), "--output", str(tmp_path / output)])
        assert main() == 2
        assert capsys.readouterr().err.startswith(f"golf: error: {message}")
    assert sorted(file.name for file in tmp_path.iterdir() if not file.name.endswith(".lock")) == [
        "bad.jsonl",
        "bad.txt",
        "there",
    ]


def test_a_worker_that_is_killed_is_one_line(data, monkeypatch):
    monkeypatch.setattr(encode, "_encode", signal.raise_signal)
    monkeypatch.setattr(encode, "batches", lambda documents: [signal.SIGKILL])
    with (
        pytest.raises(UserError, match="--workers=2: one was killed, perhaps for lack of memory; try fewer"),
        encode.encoding(data / "tokenizer.model", 2) as encoded,
    ):
        list(encoded([]))


KILLED = """\
import os, signal, sys
from pathlib import Path
from golf.data.prep import encode
encode.BATCH_CHARACTERS = 1
if __name__ == "__main__":
    with encode.encoding(Path(sys.argv[1]), 2) as tokens:
        next(tokens(("one", "and one") for _ in range(9)))
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
        print(children, flush=True)
        sys.stdin.read()
"""


def test_workers_die_with_the_command(data, tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(data / "tokenizer.model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
        processes = [os.pidfd_open(int(pid)) for pid in job.stdout.readline().split()]
        job.kill()
        for process in processes:
            assert select([process], [], [], 60)[0] == [process]  # its end can be read
            os.close(process)
    assert len(processes) == 3  # one looks after what they share
