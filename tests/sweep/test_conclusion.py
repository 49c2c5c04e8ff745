"""How a sweep ends, whatever became of its jobs and its launcher."""

import re
import signal
from functools import partial

import pytest

from golf.errors import Ended, Stopped, require
from golf.resume.command import resume_command
from golf.sweep import status
from golf.sweep.conclusion import conclude
from golf.utils.shell import quote


def mine(done: bool) -> bool:
    return True


@pytest.fixture
def directory(tmp_path):
    """A sweep of one job that went well."""
    status.run_once(tmp_path / "one", ["seed=1", "ttt=none"], ["val_bpb"], lambda: {"val_bpb": 1.25}, mine)
    (tmp_path / "multirun.yaml").touch()
    return tmp_path


def test_all_is_well(directory, capsys):
    conclude(directory, ["val_bpb"])
    assert "1.25000" in capsys.readouterr().out


def test_numbers_of_bytes_are_whole(tmp_path, capsys):
    status.run_once(tmp_path, ["seed=1"], ["artifact_bytes"], lambda: {"artifact_bytes": 15_978_962}, mine)
    conclude(tmp_path, ["artifact_bytes"])
    assert "15,978,962" in capsys.readouterr().out


def test_a_job_that_left_nothing_is_lost(directory, capsys):
    with pytest.raises(Ended, match="1 of 2 jobs failed") as ended:
        conclude(directory, ["val_bpb"], lost=[["seed=2", "ttt=none"]])
    assert ended.value.code == 1
    assert "lost" in capsys.readouterr().out


def test_a_launcher_that_gave_up_is_told_with_what_it_left(directory, capsys):
    with pytest.raises(SystemExit):
        status.run_once(directory / "two", ["seed=2", "ttt=none"], ["val_bpb"], lambda: exit(), mine)
    with pytest.raises(Ended, match=r"the host is gone\n1 of 2 jobs failed; golf resume .* runs them again") as ended:
        conclude(directory, ["val_bpb"], stopped=RuntimeError("the host is gone"))
    assert ended.value.code == 1
    assert "running" in capsys.readouterr().out


def test_what_it_prints_can_be_pasted(tmp_path, capsys):
    path = f"/{'a b/' * 60}x.model"
    status.run_once(
        tmp_path / "one", ["seed=1", f"data.tokenizer={path}"], ["val_bpb"], lambda: {"val_bpb": 1.25}, mine
    )
    failing = partial(require, False, f"{path}: no")
    status.run_once(tmp_path / "two", ["seed=2"], ["val_bpb"], failing, mine)
    with pytest.raises(Ended, match=re.escape(resume_command(tmp_path))):
        conclude(tmp_path, ["val_bpb"], left_out=[(["seed=3"], "none")])
    printed = capsys.readouterr().out
    assert f" seed=1 {quote(f'data.tokenizer={path}')} " in printed
    assert printed.splitlines()[-2:] == [f"seed=2 failed: {path}: no", "seed=3 left out: none"]


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), Stopped(signal.SIGTERM)])
def test_a_signal_is_told_with_how_to_go_on(directory, capsys, stopped):
    number = 2 if isinstance(stopped, KeyboardInterrupt) else 15
    with pytest.raises(Ended, match=re.escape(f"; {resume_command(directory)} goes on")) as ended:
        conclude(directory, ["val_bpb"], stopped=stopped)
    assert (ended.value.code, str(ended.value)[:14]) == (128 + number, "stopped by SIG")
    assert "1.25000" in capsys.readouterr().out


def test_a_mistake_leaves_nothing_if_no_job_has_begun(directory):
    with pytest.raises(ValueError, match="no such"):
        conclude(directory, ["val_bpb"], stopped=ValueError("no such key"))
    assert directory.exists()  # a job has
    (directory / "one" / status.FILE).unlink()
    (directory / "one").rmdir()
    with pytest.raises(ValueError, match="no such"):
        conclude(directory, ["val_bpb"], stopped=ValueError("no such key"))
    assert not directory.exists()
