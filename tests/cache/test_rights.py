"""A cache asks for no more rights than it needs, and where it cannot be used the job goes on."""

import os
import pwd
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from runs import run

from golf.cache.accounts import byte_account
from golf.cache.entries import cached, claimed, user_cache
from golf.cache.stage_cache import StageCache, store
from golf.data.fixture import Fixture
from golf.events import Listener
from golf.tracker import jsonl

KEY = "0123456789abcdef" * 4
NOBODY = 12345
TRAIN = ("experiment=tiny", "stages=[train]", "trainer.steps=2", "data.val_tokens=1025")


class Heard(Listener):
    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    def event(self, name, **fields):
        self.events.append((name, fields))


class Impatient(Heard):
    def event(self, name, **fields):
        assert name != "waiting_for_another_job"
        super().event(name, **fields)


def build(directory: Path) -> None:
    (directory / "output").write_text("a")


def as_nobody(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run by a user of whom nothing is known, in a namespace where this user's files are theirs."""
    known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "OMP_NUM_THREADS") if name in os.environ}
    namespace = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    command = [*namespace, sys.executable, *command]
    return subprocess.run(command, cwd=cwd, env=known | environment, capture_output=True, text=True, timeout=200)


@pytest.mark.slow
def test_nobody_runs_from_a_cache_that_cannot_be_written(tmp_path):
    with pytest.raises(KeyError):
        pwd.getpwuid(NOBODY)
    run(tmp_path / "one", *TRAIN, "cache=on", f"cache.directory={tmp_path}/cache")
    closed = [tmp_path / "cache", *(tmp_path / "cache").iterdir()]
    (tmp_path / "tmp").mkdir()
    for path in closed:
        path.chmod(path.stat().st_mode & ~0o222)
    arguments = ("-m", "golf", *TRAIN, f"cache.directory={tmp_path}/cache", "hydra.run.dir=two")
    done = as_nobody(*arguments, cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    events = [line for line in jsonl.read(tmp_path / "two") if line["kind"] == "event"]
    assert [line["from_cache"] for line in events if line["name"] == "stage_finished"] == [True]
    assert not {"cache_not_used", "not_cached"} & {line["name"] for line in events}
    assert {path.name for path in (tmp_path / "tmp" / f"golf-{NOBODY}").iterdir()} == {"accounts", "code"}
    for path in closed:
        path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture
def homeless(tmp_path, monkeypatch) -> Path:
    """No cache can be made at home; where this user's folder among temporary files would be."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"golf-{os.getuid()}"


def test_a_home_that_cannot_be_written_is_done_without(homeless):
    assert user_cache(None, "stages") == homeless / "stages"
    assert homeless.stat().st_mode & 0o777 == 0o700
    entry = cached(user_cache(None, "stages"), KEY, build)
    assert entry.is_relative_to(homeless)


def test_a_folder_of_others_is_no_cache_and_ends_no_job(homeless):
    (homeless.parent / "theirs").mkdir()
    homeless.symlink_to(homeless.parent / "theirs")
    heard, cache = Heard(), StageCache(directory=None, limit_gib=1.0)
    cache.check()
    for _ in range(3):
        with cache.claimed(KEY, heard) as entry:
            assert entry is None
    ((name, fields),) = heard.events  # once
    assert (name, str(homeless) in fields["reason"]) == ("cache_not_used", True)
    dataset = Fixture(val_tokens=None, seed=None, order="global").open(Listener())
    tokens = dataset.validation(64)
    assert byte_account(dataset.tokenizer, tokens, dataset.byte_table.target_bytes(tokens))["verdict"] == "pass"
    assert list((homeless.parent / "theirs").iterdir()) == []


def test_a_whole_entry_is_read_while_another_job_holds_it(tmp_path):
    cached(tmp_path, KEY, build)
    heard, cache = Impatient(), StageCache(directory=str(tmp_path), limit_gib=1.0)
    with claimed(tmp_path, KEY), cache.claimed(KEY, heard) as entry:
        assert entry is not None
        assert entry.is_whole()
        assert heard.events == []
        store(entry, None, {"stage": "train"}, [], heard)  # as a job does that cannot use it
        assert [name for name, _ in heard.events] == ["not_cached"]
        assert entry.is_whole()


def test_a_missing_entry_is_waited_for(tmp_path, monkeypatch):
    holding = ExitStack()

    class Released(Heard):
        def event(self, name, **fields):
            super().event(name, **fields)
            cached(tmp_path / "else", KEY, build)
            holding.close()

    heard, cache = Released(), StageCache(directory=str(tmp_path), limit_gib=1.0)
    with holding:
        holding.enter_context(claimed(tmp_path, KEY))
        with cache.claimed(KEY, heard) as entry:
            assert entry is not None
            assert not entry.read_only
    assert [name for name, _ in heard.events] == ["waiting_for_another_job"]
