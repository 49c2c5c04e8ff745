"""`python -m golf.data download`: a real client, a server on this machine, bad connections and bad files."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hub_server import Hub, serving
from runs import composed

from golf import pipeline
from golf.data.fixture import Fixture
from golf.data.manifest import read_manifest
from golf.data.prep import hub as client
from golf.data.prep.download import download
from golf.data.shard import read_shard, write_shard
from golf.data.shards import Shards
from golf.errors import UserError
from golf.events import Listener
from golf.utils.hashing import sha256

NAME, REPOSITORY = "fineweb_sp8192", "kevclark/parameter-golf"
FOLDER, TOKENIZER = "datasets/datasets/fineweb10B_sp8192", "datasets/tokenizers/fineweb_8192_bpe.model"
MANIFEST = "datasets/manifest.json"
TRAIN = [f"{FOLDER}/fineweb_train_{i:06d}.bin" for i in range(3)]
VAL = f"{FOLDER}/fineweb_val_000000.bin"
FIXTURE = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
TOKENS = 100_000


class Heard(Listener):
    def __init__(self):
        self.shown = []

    def progress(self, stage, done, total, **notes):
        self.shown.append((done, total))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A repository's content by path."""
    path = tmp_path_factory.mktemp("shard") / "shard.bin"
    tokens = read_shard(FIXTURE.train_files[0]).astype(int)
    content = {}
    for i, name in enumerate([*TRAIN, VAL]):
        write_shard(path, (tokens.repeat(4)[:TOKENS] + i) % 320)
        content[name] = path.read_bytes()
    stats = {"files_train": 3, "files_val": 1, "tokens_train": 3 * TOKENS, "tokens_val": TOKENS, "docs_val": 5}
    manifest = {"datasets": [{"name": "another"}, {"name": "fineweb10B_sp8192", "stats": stats}]}
    return {**content, TOKENIZER: FIXTURE.tokenizer.read_bytes(), MANIFEST: json.dumps(manifest).encode()}


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    """The repository, served to this process and to those that it starts, which have an empty home."""
    with serving(Hub(REPOSITORY, dict(files))) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # what a cut can lose
        monkeypatch.setattr(client, "PAUSE_SECONDS", 0.0)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield hub


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "data" / NAME


def fetched(directory, shards=None):
    heard = Heard()
    download(NAME, directory, shards, heard)
    return heard


def refused(directory, shards=None) -> str:
    with pytest.raises(UserError) as error:
        download(NAME, directory, shards, Listener())
    assert "\n" not in str(error.value)
    return str(error.value)


def started(directory, *arguments):
    command = [sys.executable, "-m", "golf.data", "download", NAME, "--output", str(directory), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def has(hub, directory, paths):
    """All of these files, and nothing else."""
    names = {Path(path).name: hub.files[path] for path in paths}
    assert {file.name for file in directory.iterdir()} == {*names, "manifest.json"}
    assert {name: (directory / name).read_bytes() for name in names} == names


def test_all_of_it_is_there_verified_and_ready_for_a_run(hub, directory, tmp_path):
    heard = fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    manifest = read_manifest(directory)
    assert manifest.source == {"repository": REPOSITORY, "commit": hub.commit}
    assert [(file["file"], file["size"], file["tokens"]) for file in manifest.train] == [
        (Path(path).name, 1024 + 2 * TOKENS, TOKENS) for path in TRAIN
    ]
    assert heard.shown[-1][0] == heard.shown[-1][1]
    globs = {"train_glob": "fineweb_train_*.bin", "val_glob": "fineweb_val_*.bin"}
    data = Shards(
        path=str(directory),
        tokenizer=str(directory / "fineweb_8192_bpe.model"),
        **globs,
        val_tokens=None,
        seed=None,
        order="record",
    ).open(Listener())
    data.check_manifest()
    data.check(320, 64)
    assert data.digests()["manifest"] == sha256(directory / "manifest.json")
    assert not (tmp_path / "home").exists()


def test_some_shards_and_later_more(hub, directory):
    fetched(directory, 1)
    has(hub, directory, [TRAIN[0], VAL, TOKENIZER])
    fetched(directory, 2)
    has(hub, directory, [*TRAIN[:2], VAL, TOKENIZER])
    assert len(read_manifest(directory).train) == 2
    assert all(hub.asked[path] == [0] for path in [*TRAIN[:2], VAL, TOKENIZER])
    message = refused(directory, 1)
    assert message.startswith(f"{directory}/fineweb_train_000001.bin: is not among the files asked for; ")


def test_again_fetches_nothing_and_leaves_the_manifest(hub, directory):
    fetched(directory)
    before = (directory / "manifest.json").read_bytes()
    hub.asked.clear()
    hub.commit = "9" * 40
    fetched(directory)
    assert set(hub.asked) == {MANIFEST}
    assert (directory / "manifest.json").read_bytes() == before


def test_what_was_damaged_or_lost_since_is_fetched_again(hub, directory):
    fetched(directory)
    (directory / "fineweb_train_000001.bin").unlink()
    path = directory / "fineweb_val_000000.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    hub.asked.clear()
    fetched(directory)
    assert set(hub.asked) == {MANIFEST, TRAIN[1], VAL}
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])


def test_cut_connections_go_on_where_they_were(hub, directory):
    hub.cuts = {TRAIN[0]: [50_000, 0, 70_000], VAL: [1000]}
    hub.cuts[TRAIN[1]] = [None, None, 50_000, None, None, 40_000]  # no three in a row bring nothing
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    assert hub.asked[TRAIN[0]] == [0, 50_000, 50_000, 120_000]
    assert hub.asked[TRAIN[1]] == [0, 0, 0, 50_000, 50_000, 50_000, 90_000]
    assert hub.asked[VAL] == [0, 1000]


def test_a_damaged_file_is_fetched_once_more(hub, directory):
    hub.damaged.update({TRAIN[1]: 1, TOKENIZER: 1, MANIFEST: 1})
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    assert hub.asked[TRAIN[1]] == hub.asked[TOKENIZER] == hub.asked[MANIFEST] == [0, 0]


def test_a_file_damaged_twice_is_named_and_nothing_is_published(hub, directory):
    hub.damaged[TRAIN[1]] = 2
    assert refused(directory).startswith(f"{REPOSITORY}: {TRAIN[1]} came damaged twice: ")
    assert not list(directory.glob("*.bin"))
    assert not (directory / "manifest.json").exists()
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])


@pytest.mark.slow
def test_a_killed_download_goes_on_where_it_was(hub, directory, tmp_path):
    chunk = 10 * 2**20  # as much is kept at once
    write_shard(tmp_path / "large.bin", np.arange(chunk) % 320)
    hub.files |= {TRAIN[1]: (tmp_path / "large.bin").read_bytes(), MANIFEST: b'{"datasets": []}'}
    fetched(directory, 1)
    before = (directory / "manifest.json").read_bytes()
    hub.asked.clear()
    hub.stalls = {TRAIN[1]: chunk + 10_000}
    process = started(directory)
    assert hub.stalled.wait(60)
    deadline = time.monotonic() + 60
    while sum(part.stat().st_size for part in directory.glob(".download/fineweb_train_000001.bin.*.part")) < chunk:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    hub.stalls = {}
    assert (directory / "manifest.json").read_bytes() == before
    assert [file.name for file in directory.glob("*train*")] == ["fineweb_train_000000.bin"]
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    assert hub.asked[TRAIN[1]] == [0, chunk]


@pytest.mark.slow
def test_two_at_once_fetch_everything_once(hub, directory):
    hub.stalls = {VAL: 16_384}
    first = started(directory)
    assert hub.stalled.wait(60)
    second = started(directory)
    assert "waiting for another download" in second.stdout.readline()
    hub.go.set()
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0], said
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    assert all(hub.asked[path] == [0] for path in [*TRAIN, VAL, TOKENIZER])


def test_a_repository_that_grows_and_changes_is_followed(hub, directory):
    hub.files[MANIFEST] = b'{"datasets": []}'
    del hub.files[TRAIN[2]]
    fetched(directory)
    has(hub, directory, [*TRAIN[:2], VAL, TOKENIZER])
    hub.files |= {TRAIN[2]: hub.files[TRAIN[0]], TRAIN[1]: hub.files[VAL]}
    hub.commit, hub.asked = "9" * 40, {}
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])
    assert set(hub.asked) == {MANIFEST, *TRAIN[1:]}
    assert read_manifest(directory).source["commit"] == hub.commit


def test_leftovers_of_a_download_do_not_replace_good_files(hub, directory, files):
    fetched(directory)
    hub.files |= dict.fromkeys(TRAIN[:2], files[VAL])
    hub.commit = "8" * 40
    hub.damaged[TRAIN[1]] = 2
    refused(directory)
    hub.files, hub.commit = dict(files), "9" * 40
    (directory / ".download" / "fineweb_train_000000.bin").write_bytes(files[VAL])  # it may have come before, or not
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])


def test_folders_of_others_stay_where_files_are_fetched(hub, directory):
    (directory / ".download" / "mine").mkdir(parents=True)
    fetched(directory)
    assert [path.name for path in (directory / ".download").iterdir()] == ["mine"]
    (directory / ".download" / "mine").rmdir()
    fetched(directory)
    has(hub, directory, [*TRAIN, VAL, TOKENIZER])


@pytest.mark.slow
def test_what_is_wrong_is_one_line_that_names_it(hub, directory, files):
    assert refused(directory, 0) == "--shards=0 must be at least 1"
    assert refused(directory, 4) == f"--shards=4: {REPOSITORY} has 3 training shards"
    with pytest.raises(UserError, match=r"fineweb: is none of the data sets in .*download\.yaml: fineweb_sp8192, "):
        download("fineweb", directory, None, Listener())
    for path, told in [
        (TRAIN[2], f"{REPOSITORY}: {FOLDER} has 2 of 3 train shards"),
        (VAL, f"{REPOSITORY}: {FOLDER} has 0 of 1 val shards"),
        (TOKENIZER, f"{REPOSITORY}: there is no file {TOKENIZER} at commit {hub.commit}"),
        (MANIFEST, f"{REPOSITORY}: there is no file {MANIFEST} at commit {hub.commit}"),
    ]:
        del hub.files[path]
        assert refused(directory) == told
        hub.files[path] = files[path]
    hub.files[MANIFEST] = files[MANIFEST].replace(b'"tokens_val": 100000', b'"tokens_val": 100001')
    assert refused(directory) == f"{REPOSITORY}: val shards of 100000 tokens, but it states 100001"
    hub.files[MANIFEST] = b"<html>"
    assert refused(directory).startswith(f"{REPOSITORY}: {MANIFEST} cannot be understood ")
    hub.files |= {MANIFEST: files[MANIFEST], VAL: b"<html>" * 1000}
    assert "fineweb_val_000000.bin: not a token shard" in refused(directory)
    hub.repository = "somebody/else"
    message = refused(directory)
    assert message.startswith(f"{REPOSITORY}: cannot be fetched (")
    assert "Repository Not Found" in message


def test_where_nothing_came_nothing_is_left(hub, directory):
    hub.repository = "somebody/else"
    refused(directory)
    assert not directory.exists()


@pytest.mark.parametrize("place", ["data/fineweb_sp8192", "else where"])
def test_data_that_are_not_there_name_the_download(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = composed("experiment=record", f"data.path='{place}'")
    (tmp_path / "run").mkdir()
    output = {"else where": " --output 'else where'"}.get(place, "")
    missing = [f"data.path: there is no directory {place}"]
    missing += [f"data.tokenizer: there is no file {config['data']['tokenizer']}"]
    for message in missing:
        with pytest.raises(UserError) as error:
            pipeline.run(config, tmp_path / "run", {"data": NAME})
        assert str(error.value) == f"{message}; python -m golf.data download {NAME}{output} fetches it"
        Path(place, ".download").mkdir(parents=True, exist_ok=True)  # as after one that was cut off


def test_a_server_that_never_sends_is_given_up(hub, directory):
    hub.cuts[TRAIN[0]] = [None] * 100
    message = refused(directory)
    assert message.startswith(f"{REPOSITORY}: {TRAIN[0]}: cannot be fetched (Server error '503 ")
    assert message.endswith("; the same command continues the download")


def test_too_little_room_is_told_before_anything_comes(hub, directory, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**5))
    assert refused(directory).startswith(f"{directory}: 0.0 GB more are needed, and 0.0 GB are free; ")
    assert set(hub.asked) == {MANIFEST}


def test_the_command_without_the_client_says_how_to_install_it(directory):
    program = "import sys; sys.modules['huggingface_hub'] = None; sys.argv[1:] = ['download', 'fineweb_sp8192']; "
    program += "from golf.data.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "golf: error: huggingface_hub is missing: pip install 'golf[data]'\n"
