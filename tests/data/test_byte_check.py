"""`python -m golf.data check`: the table, the exit codes, and one line about what is wrong."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sentencepiece import SentencePieceTrainer

from golf.data.__main__ import main
from golf.data.fixture import Fixture
from golf.data.shard import read_shard, write_shard
from golf.events import Listener

FIXTURE = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
OF_DOCUMENTS = """\
                             documents            bytes
text                                10           15,264
white space normalised               9               -1
other characters normalised          8               +6
counted                             10           15,269
4,991 tokens with what parts documents: 3.0593 bytes per token
"""
OF_SHARDS = """\
                             documents            bytes
counted                             16           85,032
72,695 tokens with what parts documents: 1.1697 bytes per token
"""


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs the command; its exit code, what it printed, and what it complained about."""

    def run(*files, tokenizer=FIXTURE.tokenizer):
        monkeypatch.setattr(sys, "argv", ["golf.data", "check", "--tokenizer", str(tokenizer), *map(str, files)])
        return (main(), *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def lossy(tmp_path_factory):
    """A tokenizer without bytes for the characters that it does not know, and without BOS if told so."""

    def trained(**settings):
        path = tmp_path_factory.mktemp("lossy") / "tokenizer.model"
        settings |= {"model_type": "bpe", "vocab_size": 24, "minloglevel": 2}
        with open(path, "wb") as file:
            SentencePieceTrainer.train(
                sentence_iterator=iter(["the dog and the fox " * 20]), model_writer=file, **settings
            )
        return path

    return trained


def test_documents(check, sp8192, sp8192_documents):
    assert check(sp8192_documents, tokenizer=sp8192) == (0, OF_DOCUMENTS, "")


def test_a_text_file_is_one_document_to_the_byte(check, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\xe2\x96\x81two")
    (tmp_path / "b").write_bytes("drei\n…".encode())
    code, out, _ = check(tmp_path / "a.txt", tmp_path / "b")
    assert code == 0
    assert [line.split()[-2:] for line in out.splitlines()[1:5]] == [["2", "19"], ["1", "-2"], ["0", "+0"], ["2", "17"]]


def test_the_shards_of_a_stream(check, tmp_path):
    files = [*FIXTURE.train_files, *FIXTURE.val_files]  # a document goes on in the second training shard
    stream = np.concatenate([read_shard(file) for file in files])
    assert FIXTURE.byte_table.bytes_of(stream[:-1], stream[1:]).sum() == 85_032
    assert check(*files) == (0, OF_SHARDS, "")


def test_a_stream_may_begin_inside_a_document(check):
    code, out, _ = check(FIXTURE.train_files[1])
    assert code == 0
    documents = 1 + int((read_shard(FIXTURE.train_files[1]) == 1).sum())
    assert out.splitlines()[1].split()[:2] == ["counted", str(documents)]


def test_a_shard_with_a_lost_character_fails(check, tmp_path):
    tokens = np.array(read_shard(FIXTURE.val_files[0]))
    start = int(np.flatnonzero(tokens == 1)[1])
    tokens[start + 5] = 3
    write_shard(tmp_path / "x.bin", tokens)
    code, out, error = check(FIXTURE.train_files[0], tmp_path / "x.bin")
    before = int((read_shard(FIXTURE.train_files[0]) == 1).sum())
    start += len(read_shard(FIXTURE.train_files[0]))
    assert (code, out) == (1, "")
    where = f"document {before + 2}, from token {start} of the stream on"
    assert error.startswith(f"golf: error: {FIXTURE.tokenizer}: {where}: token 5, '<unk>' after")
    assert error.endswith(
        "is unknown to the tokenizer or unused in it, so its text is lost: make the shards with another\n"
    )
    assert error.count("\n") == 1


def test_a_document_that_the_tokenizer_cannot_count_fails(check, tmp_path, lossy):
    file = tmp_path / "documents.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("the dog", "the 日", "the fox")))
    code, out, error = check(file, tokenizer=lossy())
    assert (code, out) == (1, "")
    assert error.startswith(f"golf: error: {file}: document 2: token ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.jsonl", None, r"no.jsonl: cannot be read (No such file or directory)"),
        ("no.txt", None, r"no.txt: cannot be read (No such file or directory)"),
        ("no.bin", None, r"no.bin: cannot be read (No such file or directory)"),
        ("x.bin", b"", "x.bin: ends at byte 0, inside the 1024-byte header of a token shard"),
        ("x.txt", b"a\xff", "x.txt: is not UTF-8 text (byte 1); a shard's name ends in .bin"),
        ("x.jsonl", b"", "x.jsonl: there is no document to check"),
        ("x.jsonl", b'{"text": "a"}\nb\n', 'x.jsonl: line 2: is no JSON object whose "text" is a text in UTF-8'),
        ("x.jsonl", b'{"text": "\\ud800"}\n', "x.jsonl: line 1: is no JSON object"),
        ("x.jsonl", b'{"text": "\xff"}\n', "x.jsonl: line 1: is no JSON object"),
        ("x.jsonl", b'{"text": 1}\n', "x.jsonl: line 1: is no JSON object"),
        ("x.jsonl", b'{"body": ""}\n', "x.jsonl: line 1: is no JSON object"),
        ("x.jsonl", b'["text"]\n', "x.jsonl: line 1: is no JSON object"),
    ],
)
def test_what_cannot_be_checked_is_named(check, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, error = check(tmp_path / name)
    assert (code, out) == (2, "")
    assert error.startswith(f"golf: error: {tmp_path}/{message}")
    assert error.count("\n") == 1


def test_a_shard_of_another_tokenizer_is_named(check, tmp_path):
    write_shard(tmp_path / "x.bin", np.array([1, 319, 320]))
    code, _, error = check(tmp_path / "x.bin")
    assert code == 2
    assert "x.bin: token 320 at position 2 is not in the vocabulary of 320" in error


def test_a_tokenizer_that_is_none(check, tmp_path):
    code, _, error = check(FIXTURE.val_files[0], tokenizer=tmp_path / "no.model")
    assert (code, error) == (2, f"golf: error: {tmp_path}/no.model: cannot be read as a SentencePiece model\n")


def test_documents_of_a_tokenizer_without_bos(check, lossy, tmp_path):
    (tmp_path / "a.txt").write_text("the dog")
    assert check(tmp_path / "a.txt", tokenizer=lossy(bos_id=-1))[0] == 0
    tokenizer = lossy(bos_id=-1, eos_id=-1)
    code, _, error = check(tmp_path / "a.txt", tokenizer=tokenizer)
    assert (code, error) == (2, f"golf: error: {tokenizer}: has neither BOS nor EOS, which part documents\n")


def test_shards_and_documents_are_not_mixed(check, sp8192_documents):
    code, _, error = check(FIXTURE.val_files[0], sp8192_documents)
    assert (code, error) == (2, "golf: error: give either token shards (.bin) or documents, not both\n")


def test_help_needs_no_heavy_import():
    command = [sys.executable, "-X", "importtime", "-m", "golf.data", "check", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--tokenizer" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "golf.errors" in imported
    assert not imported & {"torch", "numpy", "sentencepiece", "hydra"}
