"""What is written where others may have put a link, a pipe or a folder."""

import os
from pathlib import Path

import pytest
from runs import FEW, run

from golf.errors import UserError
from golf.events import Job
from golf.tracker.jsonl import JsonLines
from golf.tracker.log import Log
from golf.utils.atomic import atomic_directory, atomic_write
from golf.utils.writing import private_directory, regular


def link(path: Path) -> None:
    path.symlink_to(path.parent / "diary")


@pytest.mark.parametrize("mode", ["a", "w"])
@pytest.mark.parametrize("put", [link, os.mkfifo, Path.mkdir])
def test_only_regular_files_are_opened(tmp_path, put, mode):
    (tmp_path / "diary").write_text("dear diary")
    put(tmp_path / "file")
    with pytest.raises(OSError, match=r"is no regular file: '.*file'"), open(tmp_path / "file", mode, opener=regular):
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"
    with open(tmp_path / "diary", mode, opener=regular) as file:
        file.write("!")
    assert (tmp_path / "diary").read_text() == {"a": "dear diary!", "w": "!"}[mode]


@pytest.mark.parametrize("listener", [Log, JsonLines])
@pytest.mark.parametrize("put", [link, os.mkfifo])
def test_records_of_a_run_are_regular_files(tmp_path, put, listener):
    name = {Log: "job.log", JsonLines: "metrics.jsonl"}[listener]
    (tmp_path / "diary").write_text("dear diary")
    put(tmp_path / name)
    with pytest.raises(UserError, match=rf"^{tmp_path}/{name}: cannot be written \(is no regular file\); remove it"):
        listener().start(Job(tmp_path, {}, {}))
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_a_run_that_cannot_be_recorded_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be written \(is no regular file\)"):
        run(tmp_path, *FEW)


def test_a_file_is_made_where_no_other_user_can_write(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "file") as temporary:
            assert temporary.parent.stat().st_mode & 0o777 == 0o700
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / "file").symlink_to(tmp_path / "diary")
    with atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
    assert (tmp_path / "diary").read_text() == "dear diary"


def test_folders_of_others_stay_where_one_is_made(tmp_path):
    for name in (".data.tmp", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "letter").write_text("dear")
    with pytest.raises(OSError, match="not empty"), atomic_directory(tmp_path / "data") as temporary:
        (temporary / "a").touch()
    assert {path.name for path in tmp_path.glob("*/letter")} == {"letter"}
    assert sorted(os.listdir(tmp_path)) == [".data.tmp", "data"]


@pytest.mark.parametrize("put", [link, Path.touch, lambda path: (path.mkdir(), path.chmod(0o777))])
def test_a_private_directory_is_nobody_elses(tmp_path, put):
    assert private_directory(private_directory(tmp_path / "mine")).stat().st_mode & 0o777 == 0o700
    (tmp_path / "diary").mkdir()
    put(tmp_path / "folder")
    with pytest.raises(OSError, match="folder"):
        private_directory(tmp_path / "folder")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_private(tmp_path):
    private_directory(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 12345, -1)
    with pytest.raises(PermissionError, match=r"others may write there: '.*/theirs'"):
        private_directory(tmp_path / "theirs")
