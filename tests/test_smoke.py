"""`python -m golf` with no arguments, once: the default a newcomer sees has to show the idea."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import wandb_reader
import yaml
from submit.standalone import run_script, site

from golf.pack.pack import pack
from golf.tracker import jsonl

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def smoke(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    work = tmp_path_factory.mktemp("work")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "XDG"))}
    environment = {**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "-m", "golf"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (directory,) = (work / "multirun").glob("*/*")
    return directory, json.loads((directory / "results.json").read_text()), done.stdout


def test_the_packed_script_scores_the_same_alone(smoke, home, tmp_path):
    directory, results, _ = smoke
    config = yaml.safe_load((directory / "config.yaml").read_text())
    (tmp_path / "train_gpt.py").write_bytes(pack(config, results["provenance"]))
    (corpus,) = home.glob("cache/golf/data/stdlib-*")
    artifact = ("--evaluate", str(directory / "artifact.golf"))  # tests/pack trains too, with experiment=tiny
    done = run_script(site(tmp_path / "site"), tmp_path, "--data", str(corpus), *artifact)
    assert done.returncode == 0, done.stderr
    lines = [line.split(" ", 1) for line in (tmp_path / "evaluate.log").read_text().splitlines()]
    told = {(word, fields["step"]): fields for word, text in lines[2:] if "step" in (fields := json.loads(text))}
    metrics = [line for line in jsonl.read(directory) if line["kind"] == "metrics" and line["stage"] == "ttt"]
    assert len(metrics) > 5
    for line in metrics:
        for name in {"loss", "val_loss", "val_bpb"} & line.keys():
            assert told[line["stage"], line["step"]][name] == line[name]
    score = json.loads(lines[-1][1])
    assert score == {name: results[name] for name in score}


def test_it_learns_quantizes_and_adapts(smoke):
    _, results, _ = smoke
    assert results["choices"]["experiment"] == "smoke"
    assert results["prequant"]["val_loss"] <= 0.7 * results["unigram"]["val_loss"]
    assert results["quantized"]["val_bpb"] - results["prequant"]["val_bpb"] <= 0.02
    assert results["sliding"]["val_bpb"] - results["ttt"]["val_bpb"] >= 0.005
    assert results["val_bpb"] == results["ttt"]["val_bpb"]


def test_it_needs_at_most_four_gibibytes(smoke):
    kibibytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # the largest of all children so far
    assert kibibytes <= 4 * 2**20


def test_it_ends_with_the_table(smoke):
    directory, results, output = smoke
    table = output[output.index("┏") :]
    for name in ("unigram", "prequant", "quantized", "sliding", "ttt"):
        assert f"{results[name]['val_bpb']:.5f}" in table
    assert f"{results['total_bytes']:,}" in table
    assert str(directory.relative_to(directory.parents[2])) in table
    assert "\x1b" not in output


def test_wandb_recorded_it_offline(smoke):
    directory, results, _ = smoke
    (run,) = wandb_reader.runs(directory)
    assert run.config["ttt"]["hash_embed"] is True
    assert run.summary["ttt"]["val_bpb"] == results["ttt"]["val_bpb"]
