"""A stage that was computed before is not computed again; real runs, counted."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import faults
import pytest
from runs import FEW, run

from golf.cache import stage_cache
from golf.cache.__main__ import main
from golf.cache.entries import cached
from golf.cache.prune import held, prune
from golf.errors import UserError
from golf.io.run_directory import CONFIG
from golf.tracker import jsonl
from golf.utils.atomic import UNFINISHED

pytestmark = pytest.mark.slow

QUICK = ("trainer.steps=2", *FEW)


def cached_run(tmp_path: Path, name: str, *overrides: str) -> dict:
    return run(tmp_path / name, "cache=on", f"cache.directory={tmp_path / 'cache'}", *QUICK, *overrides)


def computed(directory: Path) -> list[str]:
    """The stages that a run has computed itself."""
    ended = [line for line in jsonl.read(directory) if line.get("name") == "stage_finished"]
    return [line["stage"] for line in ended if not line["from_cache"]]


def curves(directory: Path) -> list[dict]:
    points = [line for line in jsonl.read(directory) if line["kind"] == "metrics"]
    return [{key: value for key, value in point.items() if key != "time"} for point in points]


def test_an_ablation_of_ttt_trains_once_for_each_seed(tmp_path):
    counts = dict.fromkeys(("train", "quantize", "evaluate", "ttt"), 0)
    for seed, epochs in product((1, 2), (0, 1)):
        name = f"{seed}-{epochs}"
        cached_run(tmp_path, name, f"seed={seed}", f"ttt.epochs={epochs}")
        for stage in computed(tmp_path / name):
            counts[stage] += 1
    assert counts == {"train": 2, "quantize": 2, "evaluate": 2, "ttt": 4}


@pytest.fixture(scope="module")
def twice(tmp_path_factory) -> tuple[Path, dict, dict]:
    folder = tmp_path_factory.mktemp("twice")
    return folder, cached_run(folder, "one"), cached_run(folder, "two")


def test_a_job_from_the_cache_leaves_what_it_would_have_left(twice):
    folder, one, two = twice
    assert computed(folder / "one") == ["train", "quantize", "evaluate", "ttt"]
    assert computed(folder / "two") == []
    assert {path.name for path in (folder / "one").iterdir()} == {path.name for path in (folder / "two").iterdir()}
    for name in ("checkpoint.pt", "artifact.golf"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()
    own = ("stage_seconds", "provenance")
    assert {key: value for key, value in one.items() if key not in own} == {
        k: v for k, v in two.items() if k not in own
    }
    assert curves(folder / "one") == curves(folder / "two")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("ttt.lr=0.01", ["ttt"]),
        ("evaluation.stride=32", ["train", "evaluate", "ttt"]),  # training validates; its weights stay the same
        ("quantizer=rtn", ["quantize", "evaluate", "ttt"]),
        ("codec=lzma", ["quantize", "evaluate", "ttt"]),
        ("seed=7", ["train", "quantize", "evaluate", "ttt"]),
        ("optimizer.matrix_lr=0.01", ["train", "quantize", "evaluate", "ttt"]),
        ("tracker=wandb", []),
        ("cache=off", ["train", "quantize", "evaluate", "ttt"]),
    ],
)
def test_what_depends_on_a_change_is_computed_again(twice, tmp_path, change, again):
    folder, *_ = twice
    overrides = [change, *(["tracker.mode=offline"] if change == "tracker=wandb" else [])]
    if change == "cache=off":
        run(tmp_path / "three", *QUICK)
    else:
        run(tmp_path / "three", "cache=on", f"cache.directory={folder / 'cache'}", *QUICK, *overrides)
    assert computed(tmp_path / "three") == again


def test_a_damaged_entry_is_computed_again(tmp_path):
    one = cached_run(tmp_path, "one", "stages=[train]")
    (entry,) = held(tmp_path / "cache")
    checkpoint = entry.path / "checkpoint.pt"
    content = checkpoint.read_bytes()
    checkpoint.unlink()
    checkpoint.write_bytes(content[:-1] + b"x")
    assert cached_run(tmp_path, "two", "stages=[train]")["prequant"] == one["prequant"]
    assert computed(tmp_path / "two") == ["train"]
    assert checkpoint.read_bytes() == content
    cached_run(tmp_path, "three", "stages=[train]")
    assert computed(tmp_path / "three") == []


def test_jobs_at_once_in_one_directory_tree_compute_a_stage_once(tmp_path, monkeypatch):
    """With the caches of the data and of the packed code empty as well, and the directories of the default."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    data = ("data=stdlib", "data.vocab_size=320", "data.corpus_bytes=300000")
    command = [sys.executable, "-m", "golf", "experiment=tiny", "cache.directory=cache", *data, *QUICK]
    jobs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(3)]
    assert [job.wait(timeout=200) for job in jobs if job.communicate()] == [0, 0, 0]
    directories = list(tmp_path.glob("multirun/*/*"))
    assert len(directories) == 3
    counted = [stage for directory in directories for stage in computed(directory)]
    assert sorted(counted) == ["evaluate", "quantize", "train", "ttt"]
    results = [json.loads((directory / "results.json").read_text()) for directory in directories]
    assert len({result["ttt"]["val_bpb"] for result in results}) == 1
    built = [line for directory in directories for line in jsonl.read(directory) if line.get("name") == "corpus_built"]
    assert len(built) == 1


def test_jobs_at_once_make_a_cache_smaller(tmp_path):
    """What one removes, another is just looking at."""
    for number in range(200):
        cached(tmp_path, f"{number:064x}", lambda directory: (directory / "a").touch())
    with ThreadPoolExecutor(4) as pool:
        removed = list(pool.map(lambda _: prune(tmp_path, 0), range(4)))
    assert held(tmp_path) == []
    assert sum(map(len, removed)) >= 200


def test_a_size_limit_keeps_what_was_used_last(tmp_path):
    for seed in (1, 2):
        cached_run(tmp_path, f"{seed}", "stages=[train]", f"seed={seed}")
    newest, oldest = held(tmp_path / "cache")
    cached_run(tmp_path, "again", "stages=[train]", "seed=1")  # now the older one is used last
    assert held(tmp_path / "cache")[0].path == oldest.path
    limit = (oldest.size + newest.size // 2) / 2**30
    cached_run(tmp_path, "more", "stages=[train]", "seed=1", f"cache.limit_gib={limit}")
    assert [entry.path for entry in held(tmp_path / "cache")] == [oldest.path]


def test_commands(tmp_path, monkeypatch, capsys):
    def command(*arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["golf.cache", "--directory", str(tmp_path / "cache"), *arguments])
        assert main() == 0
        return capsys.readouterr().out

    cached_run(tmp_path, "one", "stages=[train,quantize]")
    keys = {name: json.loads((tmp_path / "one" / f"{name}.json").read_text())["key"] for name in ("train", "quantize")}
    assert command("keys", str(tmp_path / "one")) == "".join(
        f"{key}  {name:<9} in the cache\n" for name, key in keys.items()
    )
    listed = command("list")
    assert all(f"{key[:12]}  {name} " in listed for name, key in keys.items())
    assert command("prune", "--limit-gib=0").startswith("removed 2 entries")
    assert "not in the cache" in command("keys", str(tmp_path / "one"))
    assert held(tmp_path / "cache") == []


def test_keys_of_a_sweep_names_one_of_its_runs(tmp_path, monkeypatch, capsys):
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).touch()
    monkeypatch.setattr(sys, "argv", ["golf.cache", "keys", str(tmp_path)])
    assert main() == 2
    such = f"is a sweep's directory; give one of its runs, such as {tmp_path / 'one'}"
    assert capsys.readouterr().err == f"golf: error: {tmp_path}: {such}\n"
    with pytest.raises(UserError, match=re.escape(f"input={tmp_path}: {such}")):
        run(tmp_path / "new", "stages=[evaluate]", f"input={tmp_path}")


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cache\.directory: /proc/here cannot be used .*or cache=off"):
        run(tmp_path, "cache=on", "cache.directory=/proc/here")


def test_a_cache_that_cannot_be_written_any_more_costs_no_run(tmp_path):
    one = cached_run(tmp_path, "one", "stages=[train]")
    (lock,) = (tmp_path / "cache").glob(".*.lock")
    lock.unlink()
    lock.mkdir()
    (entry,) = held(tmp_path / "cache")
    (entry.path / "manifest.json").unlink()  # a whole one would be served
    assert cached_run(tmp_path, "two", "stages=[train]")["prequant"] == one["prequant"]
    (said,) = [line for line in jsonl.read(tmp_path / "two") if line.get("name") == "cache_not_used"]
    assert said["directory"] == str(tmp_path / "cache")
    assert computed(tmp_path / "two") == ["train"]


def test_a_cache_that_fails_in_the_middle_costs_no_run(tmp_path, monkeypatch):
    """Where an entry cannot be read, kept or pruned."""
    one = cached_run(tmp_path, "one", "stages=[train]")
    (entry,) = held(tmp_path / "cache")
    (entry.path / "manifest.json").write_text("{}")  # whole, by its own account
    (entry.path / "events.json").unlink()
    faults.fill_disk(monkeypatch, entry.path.with_name(f".{entry.path.name}{UNFINISHED}") / "manifest.json")
    monkeypatch.setattr(stage_cache, "prune", lambda root, limit: os.listdir(root / "gone"))
    assert cached_run(tmp_path, "two", "stages=[train]")["prequant"] == one["prequant"]
    names = ("cache_not_used", "not_cached", "cache_not_pruned")
    said = [line["name"] for line in jsonl.read(tmp_path / "two") if line.get("name") in names]
    assert said == list(names)
    assert computed(tmp_path / "two") == ["train"]
