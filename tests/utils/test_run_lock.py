"""A directory is one living process's at a time: real processes, real jobs."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from runs import run

from golf.errors import UserError
from golf.events import Listener
from golf.sweep.sweep import sweeping
from golf.tracker import jsonl
from golf.utils import run_lock

HOLDER = """\
import sys, time
from pathlib import Path
from golf.events import Listener
from golf.utils.run_lock import run_lock
with run_lock(Path(sys.argv[1]), Listener()):
    print("here", flush=True)
    time.sleep(100)
"""
GOLF = [sys.executable, "-m", "golf", "experiment=tiny", "trainer.steps=2", "data.val_tokens=3000"]


class Heard(Listener):
    def __init__(self):
        self.names: list[str] = []

    def event(self, name, **fields):
        self.names.append(name)


@pytest.fixture
def holder(tmp_path):
    """A process that has the directory, until it is killed."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        yield process
        process.kill()


def test_it_waits_says_so_and_gives_up(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE", 0.3)
    heard = Heard()
    message = rf"{tmp_path}: another job is running there; wait for its end, or give another directory"
    with pytest.raises(UserError, match=message), run_lock.run_lock(tmp_path, heard):
        pass
    assert heard.names == ["waiting_for_another_job"]


def test_death_gives_it_free(tmp_path, holder):
    class Kill(Heard):
        def event(self, name, **fields):
            super().event(name, **fields)
            os.kill(holder.pid, signal.SIGKILL)

    heard = Kill()
    with run_lock.run_lock(tmp_path, heard):
        assert heard.names == ["waiting_for_another_job"]
        assert [path.name for path in tmp_path.iterdir()] == [run_lock.FILE]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_keeps_nobody_out(tmp_path):
    (tmp_path / run_lock.FILE).touch()
    heard = Heard()
    with run_lock.run_lock(tmp_path, heard):
        assert heard.names == []


TURNS = """\
import sys
from pathlib import Path
from golf.utils import lock
from golf.utils import run_lock
from golf.events import Listener
lock.SECONDS_BETWEEN_LOOKS = 0
directory = Path(sys.argv[1])
for _ in range(200):
    with run_lock.run_lock(directory, Listener()):
        (directory / "inside").mkdir()
        (directory / "inside").rmdir()
"""


def test_never_two_at_once(tmp_path):
    """Each removes the lock's file when it goes, which another may have opened just before."""
    jobs = [subprocess.Popen([sys.executable, "-c", TURNS, str(tmp_path)]) for _ in range(4)]
    assert [job.wait() for job in jobs] == [0, 0, 0, 0]


def numbers(results: dict) -> dict:
    return {name: results[name] for name in ("prequant", "quantized", "sliding", "ttt", "artifact_bytes")}


@pytest.mark.slow
def test_two_jobs_in_one_directory_run_one_after_the_other(tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen([*GOLF, "hydra.run.dir=run", "cache=off"], cwd=tmp_path, **pipes) for _ in range(2)]
    said = [job.communicate(timeout=200) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    waited = [re.findall("waiting for another job  directory .*run  seconds 60", out) for out, _ in said]
    assert sorted(map(len, waited)) == [0, 1]
    names = [line["name"] for line in jsonl.read(tmp_path / "run") if line["kind"] == "event"]
    once = names[: len(names) // 2]
    assert names == once * 2  # no line of one among those of the other
    alone = run(tmp_path / "alone", "trainer.steps=2", "data.val_tokens=3000")
    assert numbers(json.loads((tmp_path / "run/results.json").read_text())) == numbers(alone)
    left = [{path.name for path in (tmp_path / name).iterdir()} for name in ("run", "alone")]
    assert left[0] == left[1]


def test_a_sweep_does_not_go_on_where_another_does(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(run_lock, "PATIENCE", 0.0)
    with pytest.raises(UserError, match="another job is running there"), sweeping(tmp_path):
        pass


def test_only_empty_or_killed_directories_are_removed(tmp_path):
    for name, files in {"empty": [], "killed": [run_lock.FILE], "used": [run_lock.FILE, "config.yaml"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        run_lock.remove_if_empty(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
    assert sorted(path.name for path in (tmp_path / "used").iterdir()) == [run_lock.FILE, "config.yaml"]


def test_a_lock_file_of_another_program_stays(tmp_path):
    (tmp_path / run_lock.FILE).write_text("4711")
    with run_lock.run_lock(tmp_path, Listener()):
        pass
    run_lock.remove_if_empty(tmp_path)
    assert (tmp_path / run_lock.FILE).read_text() == "4711"


def test_a_directory_that_another_process_has_is_not_removed(tmp_path, holder):
    run_lock.remove_if_empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [run_lock.FILE]


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_lock_is_told_at_once(tmp_path, put):
    put(tmp_path / run_lock.FILE)
    message = rf"^{tmp_path}/\.lock: cannot be written \(is no regular file\); give another directory$"
    with pytest.raises(UserError, match=message), run_lock.run_lock(tmp_path, Listener()):
        pass
    assert not (tmp_path / "elsewhere").exists()
