"""Ranks that find each other, that do not, and that fall silent; by torch's own store."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from select import select
from threading import Event

import pytest

from golf.errors import UserError
from golf.launch import torchrun
from golf.launch.heartbeat import Heartbeat
from golf.launch.join import Meeting

pytestmark = pytest.mark.slow

GOLF = [sys.executable, "-m", "golf", "experiment=tiny", "compute.device=cpu", "launch.join_timeout=60"]


@pytest.fixture
def rank(monkeypatch):
    """Sets torchrun's variables for a rank of two, which meet at a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def rank(number: int) -> dict[str, str]:
        variables = {"RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return variables

    return rank


def lead() -> int:
    raise AssertionError("this can be no rank")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RANK", "2", "RANK=2 is no whole number from 0 to 1: unset RANK"),
        ("RANK", "one", "RANK=one is no whole number from 0 to 1: unset RANK"),
        ("RANK", None, "RANK is not set, as WORLD_SIZE is: unset RANK"),
        ("WORLD_SIZE", "0", "WORLD_SIZE=0 is no whole number at least 1: unset RANK"),
        ("WORLD_SIZE", None, "WORLD_SIZE is not set, as RANK is: unset RANK"),
        ("MASTER_ADDR", None, "MASTER_ADDR is not set, as RANK is: unset RANK"),
        ("MASTER_PORT", "", "MASTER_PORT is not set, as RANK is: unset RANK"),
        ("MASTER_PORT", "65536", "MASTER_PORT=65536 is no whole number from 1 to 65535: unset RANK"),
        ("LOCAL_RANK", "-1", "LOCAL_RANK=-1 is no whole number at least 0: unset RANK"),
    ],
)
def test_variables_that_torchrun_would_not_set(rank, monkeypatch, name, value, message):
    rank(0)
    monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert torchrun.active()
    with pytest.raises(UserError, match=re.escape(message)):
        torchrun.as_rank(lead)


def test_such_variables_are_one_line(tmp_path):
    done = subprocess.run(GOLF, cwd=tmp_path, env=os.environ | {"RANK": "0"}, capture_output=True, text=True)
    assert re.fullmatch(r"golf: error: WORLD_SIZE is not set, .*\n", done.stderr)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("number", [0, 1])
def test_a_rank_that_does_not_come_is_named(rank, number):
    rank(number)
    with pytest.raises(UserError, match=rf"^rank {1 - number} of 2 did not come to .* within launch.join_timeout=0.3 "):
        Meeting().join(0.3)


@pytest.mark.parametrize("number", [0, 1])
def test_a_wait_is_logged_and_can_be_interrupted(rank, tmp_path, number):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(GOLF, cwd=tmp_path, env=os.environ | rank(number), **pipes) as job:
        line = job.stdout.readline()
        job.send_signal(signal.SIGINT)
        rest, _ = job.communicate(timeout=60)
    assert re.search(rf"rank {number} waits for rank {1 - number} of 2 at MASTER_ADDR=localhost MASTER_PORT=\d+", line)
    assert (job.returncode, "Traceback" in rest) == (130, False), rest
    assert list(tmp_path.glob("multirun/*/*")) == []


def test_ranks_that_compose_nothing_know_the_limits():
    config = torchrun.launch_config(["launch.join_timeout=7", "experiment=tiny"])
    assert (config["join_timeout"], config["heartbeat_timeout"]) == (7, 300)


# Heartbeats


@pytest.fixture
def meeting(rank):
    """Rank 0's, whose store is open, with the processes of both ranks in it."""
    rank(0)
    meeting = Meeting()
    store = meeting.connect(10, is_master=True)
    for key in meeting.keys:
        store.set(key, "1")
    meeting.store = store
    return meeting


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("finished", [False, True])
def test_silence_counts_unless_a_rank_has_done_its_part(meeting, finished):
    heard, silent = Event(), []

    def on_silence(pids):
        silent.append(pids)
        heard.set()

    here = Heartbeat(meeting.connect(10), meeting.keys, 0, 0.5, on_silence)
    if finished:
        other = Heartbeat(meeting.connect(10), meeting.keys, 1, 0.5, on_silence)
        other.start()
        other.stop()
    here.start()
    assert heard.wait(2.0 if finished else 60) != finished
    here.stop()
    assert silent == ([] if finished else [{1: 1}])


def test_a_rank_that_beats_is_not_silent(meeting):
    heard = Event()
    both = [Heartbeat(meeting.connect(10), meeting.keys, rank, 3.0, lambda _: heard.set()) for rank in (0, 1)]
    for each in both:
        each.start()
    assert not heard.wait(6.0)
    for each in both:
        each.stop()


# A launcher that is killed


def test_a_worker_whose_launcher_has_gone_ends_at_once(tmp_path):
    worker = [sys.executable, "-m", "golf.launch", str(tmp_path / "task.json"), "1"]  # of a launcher that is not there
    assert subprocess.run(worker, cwd=tmp_path, check=False).returncode == -signal.SIGKILL


def test_a_worker_dies_with_its_launcher(tmp_path):
    task = tmp_path / "task.json"
    os.mkfifo(task)
    worker = [sys.executable, "-m", "golf.launch", str(task)]
    start = "import os, subprocess, sys; subprocess.run([*sys.argv[1:], str(os.getpid())])"
    with subprocess.Popen([sys.executable, "-c", start, *worker]) as launcher, task.open("w"):  # which waits for it
        (pid,) = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        process = os.pidfd_open(int(pid))
        launcher.kill()
        assert select([process], [], [], 60)[0] == [process]  # its end can be read
        os.close(process)
