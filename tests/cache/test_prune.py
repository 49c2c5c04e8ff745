"""Only what golf made is ever removed from a cache's directory."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from command import golf

from golf.cache.entries import MANIFEST, cached
from golf.cache.prune import held, prune

KEY = "0123456789abcdef" * 4


def build(directory):
    (directory / "output").write_text("a" * 100)


def test_other_folders_stay(tmp_path):
    cached(tmp_path / "cache", KEY, build)
    (tmp_path / "cache" / "Documents").mkdir()
    (tmp_path / "cache" / "Documents" / "letter").write_text("dear")
    (tmp_path / "cache" / ("f" * 64)).mkdir()  # named as an entry, without a manifest
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / MANIFEST).write_text("{}")
    (tmp_path / "cache" / ("e" * 64)).symlink_to(tmp_path / "elsewhere")
    assert [entry.path.name for entry in prune(tmp_path / "cache", 0)] == [KEY]
    assert (tmp_path / "cache" / "Documents" / "letter").read_text() == "dear"
    assert (tmp_path / "cache" / ("f" * 64)).is_dir()
    assert (tmp_path / "elsewhere" / MANIFEST).is_file()


def test_a_directory_that_holds_other_things_is_refused(tmp_path):
    (tmp_path / "home" / "Documents").mkdir(parents=True)
    message = f"{tmp_path}/home: is no cache of golf (it holds Documents); give a directory of its own"
    command = [sys.executable, "-m", "golf.cache", "--directory", "home", "prune", "--limit-gib", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "golf: error: " + message.replace(f"{tmp_path}/", "") + "\n")
    done = golf(tmp_path, "experiment=tiny", "cache.directory=home", "hydra.run.dir=run")
    assert (done.returncode, done.stderr) == (2, f"golf: error: cache.directory: {message}\n")
    assert (tmp_path / "home" / "Documents").is_dir()


AS_A_STRANGER = """
import os, sys
sys.path[:0] = {path!r}
from golf.cache.entries import user_cache
from golf.cache.stage_cache import StageCache
from golf.events import Listener
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
os.setgroups([])
os.setuid(12345)
print(user_cache(None, "stages"))
with StageCache(directory={cache!r}, limit_gib=1.0).claimed({key!r}, Listener()) as entry:
    print(entry is not None and entry.is_whole())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_one_who_may_only_read_and_has_no_home():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        Path(folder).chmod(0o755)
        cached(Path(folder, "cache"), KEY, build)
        program = AS_A_STRANGER.format(path=sys.path, cache=f"{folder}/cache", key=KEY)
        done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True)
        assert done.stdout == f"{tempfile.gettempdir()}/golf-12345/stages\nTrue\n", done.stderr
        assert [entry.path.name for entry in held(Path(folder, "cache"))] == [KEY]
