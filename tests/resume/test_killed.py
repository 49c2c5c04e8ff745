"""A job that is killed again and again, by SIGKILL and at any moment of any stage, ends as one that is not."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from golf.resume.snapshots import ABOUT, FOLDER, NAMES
from golf.tracker import jsonl

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
# Runs the job of its first line, and forks a process for each further one, in which much is done already: it prints the
# process's number and its end.
SERVER = f"""
import os, sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from runs import run
def job(line):
    directory, *overrides = line.split()
    run(Path(directory), *overrides)
job(sys.stdin.readline())
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        job(line)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
SETTINGS = ("trainer.steps=40", "trainer.batch_tokens=256", "ttt.chunk_tokens=256", "resume.every_seconds=0")
STAGES = ("train", "quantize", "evaluate", "ttt")
RESUMED = ("train", "ttt")  # the others begin again
# How often in each stage, and in which first share of the time that it takes.
KILLS = {"train": (8, 0.1), "quantize": (4, 0.5), "evaluate": (3, 0.5), "ttt": (5, 0.2)}
CLOCKS = {"time", "seconds", "tokens_per_second"}


@contextmanager
def server() -> Iterator[subprocess.Popen[str]]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-u", "-c", SERVER], **pipes) as process:
        yield process
        process.stdin.close()


def ask(process: subprocess.Popen[str], directory: Path) -> None:
    """Have it run a job."""
    overrides = (*SETTINGS, "cache=on", f"cache.directory={directory}-cache")
    process.stdin.write(" ".join([str(directory), *overrides]) + "\n")
    process.stdin.flush()


def read(process: subprocess.Popen[str]) -> int:
    """The next number among the lines that jobs print."""
    return next(int(line) for line in process.stdout if line.strip().isdigit())


def stages(directory: Path, after: int) -> list[str]:
    """Names of the stages that were begun, since there were so many bytes."""
    path = directory / jsonl.FILE
    lines = path.read_bytes()[after:].split(b"\n")[:-1] if path.exists() else []
    events = [line for line in map(json.loads, lines) if line.get("name") == "stage_started"]
    return [event["stage"] for event in events]


def took(process: subprocess.Popen[str], directory: Path) -> dict[str, float]:
    """Seconds of each stage of a job that has ended or will."""
    while not (directory / "results.json").exists() and process.poll() is None:
        time.sleep(0.01)
    return json.loads((directory / "results.json").read_text())["stage_seconds"]


def kill_in(process: subprocess.Popen[str], directory: Path, stage: str, seconds: float, kept: bool) -> str:
    """Run the job, kill it so long after the stage's beginning, and return the stage that it was in. kept: not before
    there is a snapshot of the stage."""
    size = (directory / jsonl.FILE).stat().st_size if (directory / jsonl.FILE).exists() else 0
    ask(process, directory)
    job = read(process)
    end = time.monotonic() + 100
    while stage not in stages(directory, size) and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(seconds)
    while kept and not list((directory / FOLDER / stage).glob(f"{NAMES}/{ABOUT}")) and time.monotonic() < end:
        time.sleep(0.002)
    os.kill(job, signal.SIGKILL)
    assert read(process) == signal.SIGKILL
    return stages(directory, size)[-1]


def curves(directory: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in CLOCKS} for line in jsonl.read_metrics(directory)]


def test_killed_twenty_times(tmp_path):
    chance = random.Random(0)
    killed = []
    with server() as process:
        ask(process, tmp_path / "whole")
        for stage, (times, share) in KILLS.items():
            for left in reversed(range(times)):
                seconds = chance.uniform(0, share) * took(process, tmp_path / "whole")[stage]
                kept = left == 0 and stage in RESUMED
                killed.append(kill_in(process, tmp_path / "chain", stage, seconds, kept))
        ask(process, tmp_path / "chain")
        read(process)
        assert read(process) == 0
    assert len(killed) == 20
    assert set(killed) == set(STAGES)
    whole, chain = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "chain"))
    for score in ("prequant", "quantized", "sliding", "ttt"):
        assert chain[score] == whole[score]
    artifacts = [tmp_path / name / "artifact.golf" for name in ("whole", "chain")]
    assert artifacts[0].read_bytes() == artifacts[1].read_bytes()
    assert curves(tmp_path / "chain") == curves(tmp_path / "whole")
    assert all(chain["stages"][stage]["resumed"] > 0 for stage in RESUMED)
