"""A job of two processes on submitit, which tells it by SIGUSR2 that the host goes, and runs it again."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import pytest

from golf.tracker import jsonl

pytestmark = pytest.mark.slow

# In a step of training, and in the first chunk of TTT, a scheduler signals the job, which is its workers' parent.
MINE = """\
    import os, signal, time
    from pathlib import Path
    from golf.runtime import dist
    from golf.optim.muon_adamw import MuonAdamW
    from golf.ttt.score_first import ScoreFirst

    def preempt(once):
        if not Path(once).exists():
            dist.barrier()
            if dist.is_main():
                Path(once).touch()
                os.kill(os.getppid(), signal.SIGUSR2)
            time.sleep(1)

    class Optimizer(MuonAdamW):
        def step(self, step, lr_scale):
            super().step(step, lr_scale)
            if step == 3:
                preempt("training")

    class TTT(ScoreFirst):
        def _train(self, *arguments):
            super()._train(*arguments)
            preempt("adapting")
    """
TWO = ("experiment=tiny", "cache=off", "data.order=record", "data.seed=null", "launch.nproc_per_node=2")


def golf(cwd: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "golf", *arguments, *TWO]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_it_goes_on_where_it_was(tmp_path):
    golf(tmp_path, "hydra.run.dir=whole")
    own = tmp_path / "own"
    for group, option, target in (("optimizer", "muon", "Optimizer"), ("ttt", "score_first", "TTT")):
        (own / group).mkdir(parents=True)
        (own / group / "mine.yaml").write_text(f"defaults: [{option}, _self_]\n_target_: mine.{target}\n")
    (own / "mine.py").write_text(dedent(MINE))
    golf(tmp_path, f"--config-dir={own}", "-m", "optimizer=mine", "ttt=mine", "hydra/launcher=local")
    (results,) = tmp_path.glob("multirun/*/*/*/results.json")
    one, other = (json.loads(path.read_text()) for path in (results, tmp_path / "whole" / "results.json"))
    for score in ("prequant", "quantized", "sliding", "ttt"):
        assert one[score] == other[score]
    assert (results.parent / "artifact.golf").read_bytes() == (tmp_path / "whole" / "artifact.golf").read_bytes()
    losses = [
        [(line["step"], line["loss"]) for line in jsonl.read_metrics(directory) if line["stage"] == "train"]
        for directory in (results.parent, tmp_path / "whole")
    ]
    assert losses[0] == losses[1] != []
    resumed = [line for line in jsonl.read(results.parent) if line.get("name") == "resumed"]
    # The second time, training is taken up after its end, since without a cache nothing else keeps it.
    assert [(line["stage"], line["done"]) for line in resumed] == [("train", 4), ("train", 6), ("ttt", 1)]
    (errors,) = tmp_path.glob("multirun/*/*/.submitit/**/*.err")
    requeued = re.findall(r"\((.*),(\d+)\) - Caught signal SIGUSR2", errors.read_text())
    assert len(requeued) == 2
    saved = [line["time"] for line in jsonl.read(results.parent) if line.get("name") == "saved"]
    for (second, milliseconds), before in zip(requeued, (saved[0], saved[2]), strict=True):  # [1]: after training
        assert before < datetime.fromisoformat(second).timestamp() + int(milliseconds) / 1000
