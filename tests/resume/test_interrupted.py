"""Ctrl-C, which a terminal sends to every process of the command: what is done is kept, and how to go on is told."""

import json
import re
import signal
import time
from pathlib import Path
from textwrap import dedent

import pytest
from interrupting import interrupted

from golf.resume.command import resume_command
from golf.resume.signals import INTERRUPTED

pytestmark = pytest.mark.slow

TINY = ("experiment=tiny", "cache=off", "ttt=none", "quantizer=rtn", "trainer.steps=100000", "data.val_tokens=130")
SLOW = """\
    import os, time
    from golf.optim.adamw import AdamW

    class Slow(AdamW):
        def step(self, step, lr_scale):
            super().step(step, lr_scale)
            print("a long step of", os.getpid(), flush=True)
            time.sleep(1000)
    """


def test_a_run_is_saved(tmp_path):
    done = interrupted(tmp_path, *TINY, "hydra.run.dir=a b", after="step 1 ")
    assert done.returncode == 130
    again = resume_command(tmp_path / "a b")
    assert done.stderr == f"\n{INTERRUPTED}\ngolf: error: stopped by SIGINT; {again} goes on\n"
    assert len(list(tmp_path.glob("a b/resume/train/*/about.json"))) == 1


@pytest.mark.parametrize("launcher", ["basic", "parallel"])
def test_a_sweep_is_saved_and_ends(tmp_path, launcher):
    done = interrupted(tmp_path, "-m", *TINY, "seed=1,2,3", f"hydra/launcher={launcher}", after="step 1 ")
    assert done.returncode == 130
    (sweep,) = tmp_path.glob("multirun/*/*")
    assert done.stderr.endswith(f"\n{INTERRUPTED}\ngolf: error: stopped by SIGINT; {resume_command(sweep)} goes on\n")
    assert re.search(r"\bseed=\d +│ stopped", done.stdout)
    begun = {path.parent: json.loads(path.read_text())["state"] for path in sweep.glob("*/status.json")}
    assert len(begun) < 3  # no other job begins
    assert set(begun.values()) == {"stopped"}
    assert any(job.glob("resume/train/*/about.json") for job in begun)


@pytest.mark.parametrize("processes", [1, 2])
def test_the_second_time_it_ends_at_once(tmp_path, processes):
    (tmp_path / "own" / "optimizer").mkdir(parents=True)
    (tmp_path / "own" / "mine.py").write_text(dedent(SLOW))
    (tmp_path / "own" / "optimizer" / "slow.yaml").write_text("defaults: [adamw, _self_]\n_target_: mine.Slow\n")
    arguments = ("--config-dir=own", *TINY, "optimizer=slow", f"launch.nproc_per_node={processes}")
    done = interrupted(tmp_path, *arguments, after="a long step", times=2)
    assert done.returncode == -signal.SIGINT  # which a shell shows as 130
    assert done.stderr == f"\n{INTERRUPTED}\n"
    worker = re.search(r"a long step of (\d+)", done.stdout)[1]
    while Path("/proc", worker).exists() and "State:\tZ" not in Path("/proc", worker, "status").read_text():
        time.sleep(0.05)
