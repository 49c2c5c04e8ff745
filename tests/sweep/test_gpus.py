"""GPUs are lent to one process at a time; here they are only names."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

import golf.app  # the resolvers  # noqa: F401
from golf.errors import UserError
from golf.paths import config_dir
from golf.sweep import gpus

BORROW = """
import sys, time
from golf.sweep.gpus import reserve_gpus

with reserve_gpus(int(sys.argv[1]), ["GPU-a", "GPU-b", "GPU-c"]) as uuids:
    begun = time.monotonic()
    time.sleep(0.3)
    print(*uuids, begun, time.monotonic())
"""


@pytest.fixture
def borrow(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def start(count: int) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", BORROW, str(count)], stdout=subprocess.PIPE, text=True)

    return start


def test_no_gpu_is_lent_twice_at_a_time(borrow):
    processes = [borrow(count) for count in (1, 2, 3, 2, 1, 1)]
    loans = []
    for process, count in zip(processes, (1, 2, 3, 2, 1, 1), strict=True):
        *uuids, begun, ended = process.communicate(timeout=60)[0].split()
        assert len(set(uuids)) == count
        loans.append((set(uuids), float(begun), float(ended)))
    for (ours, begun, ended), (theirs, other_begun, other_ended) in combinations(loans, 2):
        assert not ours & theirs or ended <= other_begun or other_ended <= begun


def test_the_gpus_of_a_process_that_was_killed_are_free(borrow):
    first = borrow(3)
    first.kill()
    first.wait()
    assert borrow(3).communicate(timeout=60)[0]


def test_a_wait_for_gpus_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    caplog.set_level("INFO", "golf")
    with ExitStack() as first:
        first.enter_context(gpus.reserve_gpus(2, ["GPU-a", "GPU-b"]))
        monkeypatch.setattr(gpus.time, "sleep", lambda _: first.close())
        with gpus.reserve_gpus(1, ["GPU-a", "GPU-b"]) as ours:
            assert ours == ["GPU-a"]
    assert [record.message for record in caplog.records] == ["waiting for 1 GPU(s), which other jobs hold"]


@pytest.mark.parametrize("name", ["", "/lock", "/GPU-a"])
def test_links_in_the_place_of_locks_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "diary").write_text("dear diary")
    path = Path(f"{tmp_path}/golf-gpus-{os.getuid()}{name}")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.symlink_to(tmp_path / "diary")
    message = f"^{path}: cannot be used for GPU locks .*; set TMPDIR to a directory of your own"
    with pytest.raises(UserError, match=message), gpus.reserve_gpus(1, ["GPU-a"]):
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"


@pytest.fixture
def four(tmp_path, monkeypatch):
    """A host of four GPUs, as far as its driver's tool tells."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho GPU-a; echo GPU-b; echo GPU-c; echo GPU-d\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(("allowed", "count"), [(None, 4), ("0,1", 2), ("GPU-a", 1), ("", 0)])
def test_a_launcher_that_counts_gpus_gets_their_number(four, monkeypatch, allowed, count):
    if allowed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert gpus.from_zero() == count
    assert (gpus.at_most(1), gpus.at_most(8)) == (min(1, count), count)


def test_a_launcher_that_counts_gpus_needs_the_first_ones(four, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert gpus.at_most(8) == 2
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES=2,3: this launcher takes GPUs from 0 on"):
        gpus.from_zero()


def test_launchers_that_hide_gpus_are_told_how_many(four):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        chosen = [
            compose("config", [f"hydra/launcher={name}", "launch.nproc_per_node=2"], return_hydra_config=True)
            for name in ("local", "ray_cluster", "slurm")
        ]
    local, ray, slurm = (cfg.hydra.launcher for cfg in chosen)
    assert (local.gpus_per_node, ray.ray.remote.num_gpus, slurm.gpus_per_node) == (4, 2, 2)
