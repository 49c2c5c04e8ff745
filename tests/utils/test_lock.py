"""Locks at paths where somebody else may have put something, and locks that somebody else holds."""

import os
import subprocess
import sys

import pytest

from golf.utils.lock import locked, try_lock

HOLD = """
import sys
from pathlib import Path
from golf.utils.lock import try_lock
try_lock(Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


def test_a_link_is_not_followed_and_its_target_kept(tmp_path):
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / "lock").symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="lock"), locked(tmp_path / "lock", 0):
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_a_file_that_is_there_keeps_its_content(tmp_path):
    (tmp_path / "lock").write_text("mine")
    with locked(tmp_path / "lock", 0):
        pass
    assert (tmp_path / "lock").read_text() == "mine"


def test_a_pipe_is_no_lock(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="no regular file"), locked(tmp_path / "lock", 0):
        pass


def test_a_held_lock_is_waited_for_and_then_refused(tmp_path):
    path, called = tmp_path / "lock", []
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        assert try_lock(path) is None
        with pytest.raises(BlockingIOError), locked(path, 0.3, lambda: called.append(1)):
            pass
        holder.kill()  # a process that dies gives it back
    with locked(path, 10):
        assert called == [1]
