"""A tiny submission: real runs, the packed script's own logs, and the folder."""

import shutil
from pathlib import Path

import pytest
from runs import FEW, run
from submit.standalone import run_script, site

from golf.paths import PACKAGE
from golf.run import provenance
from golf.submit.submit import submit

DATA = str(PACKAGE / "data" / "fixture")
ABOUT = ["author=Ada Lovelace", "github_id=ada", "name=Engine"]
SEEDS = (42, 1337)
COMMITTED = {"commit": "0" * 40, "dirty": False}


def make(root: Path) -> None:
    """sweep/ with a run for each seed, submission-runs/ with what the script left, and submission/. The runs' code is
    committed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "git_state", lambda checkout: COMMITTED)
        for seed in SEEDS:
            run(root / "sweep" / f"seed={seed}", f"seed={seed}", *FEW, "trainer.steps=2", "ttt.epochs=1")
    folder, logs = root / "submission", root / "submission-runs"
    submit([root / "sweep"], ABOUT, folder, logs)
    logs.mkdir()
    shutil.copy(folder / "train_gpt.py", logs)
    alone = site(root / "site")
    for seed in SEEDS:
        done = run_script(alone, logs, "--seed", str(seed), "--data", DATA)
        assert done.returncode == 0, done.stderr
    assert submit([root / "sweep"], ABOUT, folder, logs)
