"""What can go wrong in a run: data that change, a full disk, too little memory. One line says so."""

import json
import math
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import faults
import numpy as np
import pytest
import torch
from runs import FEW, composed, run

from golf.data.shard import read_shard, write_shard
from golf.errors import Diverged, UserError
from golf.paths import PACKAGE
from golf.stages.order import STAGES
from golf.sweep import status
from golf.tracker import jsonl
from golf.utils import stdio
from golf.utils.nested import lookup

pytestmark = pytest.mark.slow

TRAIN = ("stages=[train]", "trainer.steps=2", faults.OPTIMIZER)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("base")
    run(directory, "trainer.steps=1")
    return directory


@pytest.fixture
def data(tmp_path) -> Path:
    shutil.copytree(PACKAGE / "data" / "fixture", tmp_path / "data")
    return tmp_path / "data"


def of(data: Path) -> list[str]:
    return ["data=shards", f"data.path={data}", f"data.tokenizer={data / 'tokenizer.model'}"]


def told(directory: Path, *overrides: str) -> str:
    """The one line that a run ends with."""
    with pytest.raises(UserError) as caught:
        run(directory, *overrides)
    assert "\n" not in str(caught.value)
    assert caught.value.code == 2
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]
    return str(caught.value)


# Data


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (0, b"\x00", "not a token shard (magic"),
        (4, b"\x07", "unknown version 7 at byte 4"),
        (8, b"\x00", "tokens (byte 8) make"),
        (1024 + 2 * 5, (320).to_bytes(2, "little"), "token 320 at position 5 is not in the vocabulary of 320"),
    ],
)
def test_a_bad_shard_is_located_before_anything_is_written(tmp_path, data, at, value, message):
    shard = data / "corpus_train_000001.bin"
    content = bytearray(shard.read_bytes())
    content[at : at + len(value)] = value
    shard.write_bytes(content)
    line = told(tmp_path / "run", *of(data))
    assert line.startswith(f"{shard}: ")
    assert message in line
    assert list((tmp_path / "run").iterdir()) == []


def cut_short(path: Path) -> None:
    os.truncate(path, 2000)


def replaced(path: Path) -> None:
    tokens = np.array(read_shard(path))
    write_shard(path, tokens[::-1])


def rewritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1024)
        file.write(b"\x05\x00")


@pytest.mark.parametrize("change", [cut_short, replaced, rewritten, Path.unlink])
@pytest.mark.parametrize("name", ["corpus_train_000000.bin", "corpus_val_000000.bin"])
def test_data_changing_during_a_run_ends_it_without_output(tmp_path, data, monkeypatch, name, change):
    monkeypatch.setattr(faults, "happens", lambda: change(data / name))
    cache = ("cache=on", f"cache.directory={tmp_path / 'cache'}")
    line = told(tmp_path / "run", *of(data), *TRAIN, *cache)
    assert line.startswith(f"{data / name}: ")
    assert "leave the data alone" in line or "cannot be read" in line
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"config.yaml", "metrics.jsonl", "job.log", "run.json"}
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


# Disk


OUTPUTS = {
    "config.yaml": "train",
    "checkpoint.pt": "train",
    "train.json": "train",
    "artifact.golf": "quantize",
    "quantize.json": "quantize",
    "evaluate.json": "evaluate",
    "ttt.json": "evaluate",
    "results.json": "train",
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_is_named_with_the_file_that_has_no_room(base, tmp_path, monkeypatch, name):
    stage, directory = OUTPUTS[name], tmp_path / "run"
    directory.mkdir()
    faults.fill_disk(monkeypatch, directory / name)
    settings = ["trainer.steps=1"] if stage == "train" else [f"input={base}", "data.val_tokens=3000"]
    line = told(directory, f"stages=[{stage}]", *settings)
    assert line == f"{directory / name}: cannot be written (No space left on device); make room there, and run again"
    assert not (directory / name).exists()
    for path in directory.glob("*.json"):
        json.loads(path.read_text())


def recorded(directory: Path, name: str) -> list[dict]:
    """The events of this name in metrics.jsonl; job.log has as many lines of it."""
    found = [line for line in jsonl.read(directory) if line.get("name") == name]
    lines = (directory / "job.log").read_text().splitlines()
    assert len([line for line in lines if f" {name.replace('_', ' ')} " in line]) == len(found)
    return found


def test_no_room_for_pictures_costs_no_run(tmp_path, monkeypatch):
    name = "learning_curve"
    faults.fill_disk(monkeypatch, tmp_path / f"{name}.png")
    assert run(tmp_path, "trainer.steps=1", *FEW)["val_bpb"] > 0
    (said,) = recorded(tmp_path, "not_drawn")
    assert said[name].startswith(f"{tmp_path / name}.png: cannot be written (No space left on device)")
    assert said.keys() == {"time", "kind", "name", name}
    assert {path.name for path in tmp_path.glob("*.png")} == {"ttt_curve.png", "bytes_per_tensor.png"}


def nobody_reads() -> int:
    ours, theirs = os.pipe()
    os.close(ours)
    return theirs


@pytest.mark.parametrize("opened", [nobody_reads, lambda: os.open("/dev/full", os.O_WRONLY)])
def test_a_terminal_that_is_lost_costs_no_run(tmp_path, monkeypatch, opened):
    with os.fdopen(opened(), "w") as lost, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", lost)
        patch.setattr(sys, "__stdout__", lost)
        stdio.protect()
        run(tmp_path, *TRAIN)
    (said,) = recorded(tmp_path, "listener_failed")
    assert said["listener"] == "Console"
    assert said["error"].partition(":")[0] in ("BrokenPipeError", "OSError")
    assert [line["step"] for line in jsonl.read_metrics(tmp_path) if line["stage"] == "train"] == [1, 2]


def test_a_tracker_that_fails_costs_no_run(tmp_path):
    run(tmp_path, *TRAIN, "tracker._target_=faults.Broken")
    assert [said["listener"] for said in recorded(tmp_path, "listener_failed")] == ["Broken"]


@pytest.fixture
def size_limit() -> Iterator[Callable[[int], None]]:
    """Limits what files may grow to, as a quota does: what there is room for is written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["metrics.jsonl", "job.log"])
def test_a_file_that_cannot_grow_is_named_and_loses_half_a_line(tmp_path, monkeypatch, size_limit, name):
    file = tmp_path / "run" / name

    def grow_no_more() -> None:
        with file.open("a") as largest:
            largest.write(json.dumps({"kind": "event", "name": "x" * 10000}) + "\n")
        size_limit(file.stat().st_size + 20)

    monkeypatch.setattr(faults, "happens", grow_no_more)
    line = told(tmp_path / "run", *TRAIN)
    assert line == f"{file}: cannot be written (File too large); make room there, and run again"
    size_limit(resource.RLIM_INFINITY)
    if name == "metrics.jsonl":
        assert not file.read_text().endswith("\n")
        assert jsonl.read(file.parent)[-1]["name"] == "x" * 10000
    monkeypatch.setattr(faults, "happens", int)
    run(tmp_path / "run", *TRAIN)
    assert [line["step"] for line in jsonl.read_metrics(file.parent) if line["stage"] == "train"] == [1, 2]


def test_a_full_disk_ends_a_sweep_in_one_line(tmp_path, monkeypatch):
    faults.fill_disk(monkeypatch, tmp_path / "status.json")
    with pytest.raises(UserError, match=r"status\.json: cannot be written \(No space left on device\)"):
        status.run_once(tmp_path, [], ["val_bpb"], dict, lambda done: False)


SMALL = """\
mount -t tmpfs -o size=200k none run && mount -t tmpfs -o size=16k none cache || exit 77
"$@" cache=off
echo "ended $?"; ls -A run
mount -o remount,size=200m run
"$@" cache.directory=cache
echo "ended $?"; ls -A run
"""


def test_small_disk_then_larger_disk_with_a_small_cache(tmp_path):
    for name in ("run", "cache"):
        (tmp_path / name).mkdir()
    golf = [sys.executable, "-m", "golf", "experiment=tiny", "stages=[train]", "trainer.steps=1", "hydra.run.dir=run"]
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", SMALL, "small"]
    done = subprocess.run([*namespace, *golf], cwd=tmp_path, capture_output=True, text=True)
    if done.returncode in (1, 77):
        pytest.skip(f"no small disk can be made here: {done.stderr}")
    first, second = done.stdout.split("ended ")[1:]
    full = f"{tmp_path}/run/checkpoint.pt: cannot be written (No space left on device); make room there, and run again"
    assert done.stderr == f"golf: error: {full}\n"
    left = ["config.yaml", "job.log", "metrics.jsonl", "resume", "run.json"]
    assert first.split()[:7] == ["2", *left, "job"]  # the second job begins
    assert "not saved" in done.stdout
    assert "not cached  reason" in first
    files = [
        "checkpoint.pt",
        "config.yaml",
        "job.log",
        "learning_curve.png",
        "metrics.jsonl",
        "results.json",
        "run.json",
    ]
    assert second.split() == ["0", *files, "train.json"]


# Numbers that are not finite


def test_a_job_that_diverges_leaves_no_checkpoint(tmp_path):
    with pytest.raises(Diverged, match=r"^training step \d: the weight \S+ (before|after) it is not finite"):
        run(tmp_path, "stages=[train]", "optimizer.embed_lr=1e38")
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".pt", ".json")] == ["run.json"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("optimizer.matrix_lr=1e6",), r"the Hessian of blocks\.0\.mlp\.proj\.weight is"),
        (("optimizer.embed_lr=1e7", "quantizer=rtn"), r"the float16 scale of tok_emb\.weight is"),
        (("optimizer.embed_lr=1e7", "quantizer=none"), r"the float16 tok_emb\.weight is"),
    ],
)
def test_weights_too_large_for_the_artifact(tmp_path, overrides, message):
    with pytest.raises(Diverged, match=rf"^{message} not finite; lower the optimizer's rates$"):
        run(tmp_path, "trainer.steps=1", "trainer.ema=null", *FEW, *overrides)
    assert not (tmp_path / "artifact.golf").exists()
    assert (tmp_path / "checkpoint.pt").exists()


def test_a_score_that_is_not_finite(tmp_path):
    with pytest.raises(Diverged, match=r"^the loss of the first 1024 targets is nan; lower the optimizer's rates"):
        run(tmp_path, *FEW, "trainer.steps=1", "optimizer.matrix_lr=3e4", "optimizer.scalar_lr=1e3")


def test_weights_of_a_checkpoint_that_are_not_finite(base, tmp_path):
    checkpoint = torch.load(base / "checkpoint.pt")
    checkpoint["ema"]["blocks.4.mlp.fc.weight"][0, 0] = math.nan
    (tmp_path / "bad").mkdir()
    torch.save(checkpoint, tmp_path / "bad" / "checkpoint.pt")
    with pytest.raises(Diverged, match=r"^the weight blocks\.4\.mlp\.fc\.weight is not finite"):
        run(tmp_path / "run", "stages=[quantize]", f"input={tmp_path / 'bad'}")


def test_damping_that_was_raised_is_in_the_record(tmp_path):
    few = ("quantizer.damping=1e-9", "quantizer.calibration_batches=1", "quantizer.calibration_tokens=128")
    once = ("trainer.steps=1", "stages=[train,quantize]", "quantizer.fit_bytes=true")
    run(tmp_path, *FEW, *few, *once, "model.model_dim=192")
    raised = json.loads((tmp_path / "quantize.json").read_text())["result"]["raised_damping"]
    assert "blocks.0.attn.c_q.weight" in raised
    assert set(raised.values()) <= {1e-9 * 10**power for power in range(1, 8)}
    told = [line for line in jsonl.read(tmp_path) if line.get("name") == "damping_raised"]
    assert [(line["tensors"], line["highest"]) for line in told] == [(len(raised), max(raised.values()))]


# Memory


def too_much_for_pytorch() -> None:
    torch.empty(2**50)


def too_much_for_numpy() -> None:
    np.ones(2**50)


def too_much_for_a_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of 79.1 GiB.")


def too_much_for_cublas() -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@pytest.mark.parametrize(
    ("taken", "amount"),
    [
        (too_much_for_pytorch, " (4503599627370496 bytes more were asked for)"),
        (too_much_for_numpy, " (8.00 PiB more were asked for)"),
        (too_much_for_a_gpu, " (20.00 GiB more were asked for)"),
        (too_much_for_cublas, ""),
    ],
)
def test_too_little_memory_names_the_setting_that_helps(tmp_path, monkeypatch, taken, amount):
    monkeypatch.setattr(faults, "happens", taken)
    line = told(tmp_path / "run", *TRAIN)
    advice = "raise trainer.micro_batches=2, or lower evaluation.batch_tokens=32768"
    assert line == f"train: out of memory{amount}; {advice}"
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_too_large_a_table(base, tmp_path):
    line = told(tmp_path / "run", "stages=[evaluate]", f"input={base}", "ttt.hash_buckets=1000000000000")
    assert line.startswith("ttt: out of memory (128000000000000 bytes more were asked for); lower ttt.batch_seqs=")
    assert "or lower ttt.hash_buckets=1000000000000" in line


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_what_helps_against_too_little_memory_are_settings(stage):
    config = composed("experiment=record")
    assert stage.when_out_of_memory
    for advice in stage.when_out_of_memory:
        word, setting = advice.split()
        assert word in ("raise", "lower")
        assert isinstance(lookup(config, setting), int)
        assert setting.partition(".")[0] in stage.groups


def test_another_error_stays_what_it_is(tmp_path, monkeypatch):
    def fail() -> None:
        raise RuntimeError("one and one are three")

    monkeypatch.setattr(faults, "happens", fail)
    with pytest.raises(RuntimeError, match="one and one are three"):
        run(tmp_path / "run", *TRAIN)
