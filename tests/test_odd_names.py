"""Directories whose names mean something to shells, Hydra, templates, patterns and markup are like any other."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import golf

from golf import paths
from golf.cache import __main__ as cache
from golf.config.override import hydra_value
from golf.report.compare import report
from golf.submit.submit import submit
from golf.utils.shell import quote

pytestmark = pytest.mark.slow

ODD = "a  b?q{a}'%41[x]ü=1,2"
DATA, TOKENIZER = "d{a}[t]", "t{o}[k].model"
TINY = (
    *("experiment=tiny", "ttt=none", "trainer.steps=1", "quantizer=rtn", "data.val_tokens=130"),
    *("data=shards", f"data.path={hydra_value(DATA)}", f"data.tokenizer={hydra_value(f'{DATA}/{TOKENIZER}')}"),
    "cache.directory=cache",
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Path:
    """A working directory in which a sweep of one job has run."""
    odd = tmp_path_factory.mktemp("odd") / ODD
    shutil.copytree(paths.PACKAGE / "data" / "fixture", odd / DATA)
    (odd / DATA / "tokenizer.model").rename(odd / DATA / TOKENIZER)
    done = golf(odd, "-m", *TINY, "seed=1")
    assert done.returncode == 0, done.stderr
    return odd


@pytest.fixture
def job(odd, monkeypatch) -> str:
    """The job's directory, from the working directory, as it is typed."""
    monkeypatch.chdir(odd)
    (found,) = Path("multirun").glob("*/*/*/results.json")
    return str(found.parent)


def test_nothing_lies_elsewhere(odd, job):
    assert sorted(path.name for path in odd.iterdir()) == ["cache", DATA, "multirun"]
    assert [path.name for path in odd.parent.iterdir()] == [ODD]
    assert quote(job) == job


def test_a_run_takes_its_input_from_there(odd, job):
    done = golf(odd, *TINY, "stages=[evaluate]", f"input={job}", f"hydra.run.dir={hydra_value('o{u}t,1')}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"files    {quote(odd / 'o{u}t,1')}"
    assert (odd / "o{u}t,1" / "results.json").exists()


def test_the_cache_knows_its_stages(odd, job, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["golf.cache", "--directory", "cache", "keys", job])
    assert cache.main() == 0
    assert capsys.readouterr().out.count("  in the cache\n") == 4


def test_it_is_reported_whole(odd, job, capsys):
    report([odd / "multirun"], reference=None, metric="val_bpb", baseline=None, output=odd / "report", wandb=False)
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == quote(odd / "report" / "report.html")
    assert quote(odd / job) in printed
    assert (odd / "report" / "report.html").is_file()


def test_it_is_submitted_and_the_script_reads_such_data(odd, job, capsys):
    submit([Path(job)], ["author=Ada", "github_id=ada", "name=Odd"], Path("h{a}nded in"), Path("r[u]ns"))
    *_, where, command = capsys.readouterr().out.splitlines()
    assert "In 'r[u]ns', then" in where
    typed = [DATA if word == "DIR" else word for word in shlex.split(command)]
    script = [sys.executable, *typed[1:], "--evaluate", f"{job}/artifact.golf"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("score ")
