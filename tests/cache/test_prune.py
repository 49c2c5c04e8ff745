"""Only what golf made is ever removed from a cache's directory."""

import subprocess
import sys
from pathlib import Path

import pytest
from command import golf

from golf.cache.entries import MANIFEST, cached
from golf.cache.prune import prune, require_cache
from golf.utils.atomic import UNFINISHED

KEY = "0123456789abcdef" * 4


def build(directory):
    (directory / "output").write_text("a" * 100)


def test_other_folders_stay(tmp_path):
    root, keys = tmp_path / "cache", {name: name * 64 for name in "abcdef"}
    cached(root, KEY, build)
    for name in "abc":
        cached(root, keys[name], build)
    (root / keys["a"] / "letter").write_text("dear")  # beside what golf made
    (root / keys["b"] / "Documents").mkdir()
    (root / keys["c"] / MANIFEST).write_text('{"layers": [1]}')  # of another program
    (root / keys["d"]).mkdir()  # without one
    (root / keys["e"]).symlink_to(root / keys["a"])
    (root / "Documents").mkdir()
    (root / "Documents" / MANIFEST).write_text("{}")
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    assert [entry.path.name for entry in prune(root, 0)] == [KEY]
    gone = {Path(KEY), Path(KEY, MANIFEST), Path(KEY, "output")}
    assert sorted(path.relative_to(root) for path in root.rglob("*")) == [path for path in before if path not in gone]


def test_an_entry_that_was_damaged_goes_too(tmp_path):
    (cached(tmp_path, KEY, build) / "output").unlink()
    assert len(prune(tmp_path, 0)) == 1
    assert not (tmp_path / KEY).exists()


def test_a_folder_in_the_place_of_an_entry_stays(tmp_path):
    (tmp_path / KEY / "Documents").mkdir(parents=True)
    (tmp_path / KEY / "letter").write_text("dear")
    with pytest.raises(OSError, match="holds a directory, as no entry does"):
        cached(tmp_path, KEY, build)
    assert (tmp_path / KEY / "letter").read_text() == "dear"


@pytest.mark.slow
def test_a_directory_that_holds_other_things_is_refused(tmp_path):
    (tmp_path / "home" / "Documents").mkdir(parents=True)
    message = f"{tmp_path}/home: is no cache of golf (it holds Documents); give a directory of its own"
    command = [sys.executable, "-m", "golf", "cache", "--directory", "home", "prune", "--limit-gib", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "golf: error: " + message.replace(f"{tmp_path}/", "") + "\n")
    done = golf(tmp_path, "experiment=tiny", "cache.directory=home", "hydra.run.dir=run")
    assert (done.returncode, done.stderr) == (2, f"golf: error: cache.directory: {message}\n")
    assert (tmp_path / "home" / "Documents").is_dir()


@pytest.mark.parametrize("name", [".nfs00000001", f".{KEY}.lock", f".{KEY}.tmp", f".{KEY}{UNFINISHED}", KEY])
def test_a_directory_with_what_a_cache_leaves_is_one(tmp_path, name):
    (tmp_path / name).mkdir()
    require_cache(tmp_path)
