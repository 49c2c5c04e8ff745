"""Directories of sweeps and of their jobs: each job has one of its own, and no other run is taken for it."""

from pathlib import Path

import pytest
from command import golf
from sweeps import TRAIN, write_optimizers

pytestmark = pytest.mark.slow

NUMBERED = ("hydra.sweep.dir=new/numbered", "hydra.sweep.subdir=${hydra:job.num}")
SEARCH = ("sweep=ttt_search", "hydra.sweeper.n_trials=1", "seed=1", "hydra.sweep.dir=new/search")
MINE = ("-m", "experiment=tiny", "cache=off", "optimizer=failing", *TRAIN)
ADVICE = "give another hydra.run.dir or hydra.sweep.dir, or overwrite=true to replace it\n"


def state(directory: Path) -> dict[Path, int]:
    """When the files there were last changed."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """Two jobs were run in directories that their numbers name, and a search of one trial, in a new directory."""
    cwd = tmp_path_factory.mktemp("here")
    write_optimizers(cwd / "own")
    (cwd / "mended").touch()
    for command in (("seed=1,2", *NUMBERED), SEARCH):
        done = golf(cwd, "--config-dir=own", *MINE, *command)
        assert done.returncode == 0, done.stderr
    return cwd


def refused(cwd: Path, *command: str) -> str:
    """Why, before anything was done or touched."""
    before = state(cwd / "new")
    done = golf(cwd, *command)
    assert (done.returncode, done.stdout, state(cwd / "new")) == (2, "", before)
    return done.stderr


def test_other_jobs_of_the_same_names(here):
    message = refused(here, "--config-dir=own", *MINE, "seed=3,4", *NUMBERED)
    assert message == f"golf: error: {here}/new/numbered/0: holds another run (seed is 1 there and 3 here); {ADVICE}"


def test_no_run_among_jobs_and_no_sweep_in_a_run(here):
    message = refused(here, "hydra.run.dir=new/numbered", "overwrite=true")
    assert "new/numbered: is a sweep's directory; give another hydra.run.dir, or " in message
    message = refused(here, "-m", "seed=1,2", "hydra.sweep.dir=new/numbered/0")
    assert "new/numbered/0: is the directory of a run (run.json); give another hydra.sweep.dir\n" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.sweep.subdir=same", "hydra.sweep.dir=s"], "two jobs would share {}/s/same (seed=1 and seed=2); give"),
        (["seed=1,1", "hydra.sweep.dir=s"], "seed=1, twice); give each its own"),
        (["hydra.sweep.dir=/proc/s"], "/proc/s: cannot be written (No such file or directory); give another hydra.swe"),
        ([*SEARCH, "hydra.sweep.dir=s", NUMBERED[1]], "two jobs would share {}/s/0 (ttt.lr=0.001 "),
    ],
)
def test_a_mistake_is_seen_before_the_first_job(tmp_path, arguments, message):
    done = golf(tmp_path, "-m", "experiment=tiny", "seed=1,2", *arguments)
    assert message.format(tmp_path) in done.stderr
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert list(tmp_path.iterdir()) == []


def test_an_edit_makes_other_jobs_which_can_be_asked_for(here):
    """Of one's own YAML or class, and in another --config-dir."""
    write_optimizers(here / "others")
    for option in (here / "others/optimizer/failing.yaml", here / "own/optimizer/failing.yaml"):
        option.write_text(option.read_text() + "matrix_lr: 0.25\n")
    value = f": holds another run (optimizer.matrix_lr is 0.002 there and 0.25 here); {ADVICE}"
    assert value in refused(here, "--config-dir=others", *MINE, "seed=1,2", *NUMBERED)
    for name in ("numbered", "search"):
        assert value in refused(here, "resume", f"new/{name}")
    option.write_text(option.read_text().replace("matrix_lr: 0.25\n", ""))
    code = here / "own/mine.py"
    code.write_text(code.read_text().replace("mended", "edited"))
    (here / "edited").touch()
    assert "holds another run (other code: train); " in refused(here, "resume", "new/numbered")

    numbered = here / "new/numbered"
    before = state(numbered)
    done = golf(here, "resume", "new/numbered", "overwrite=true")
    assert done.returncode == 0, done.stderr
    after = state(numbered)
    assert all(after[path] > before[path] for path in before if path.name in ("results.json", "status.json"))
    again = golf(here, "resume", "new/numbered")  # does not go on overwriting
    assert again.returncode == 0, again.stderr
    assert {path for path, time in state(numbered).items() if time != after[path]} == {numbered / "multirun.yaml"}
