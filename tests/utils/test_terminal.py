"""No name and no message of other people's steers the terminal, or is taken for rich's markup."""

import json
import logging
from logging.config import DictConfigurator
from pathlib import Path

import pytest
from command import golf
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from rich.console import Console as RichConsole

from golf.errors import UserError
from golf.events import Job
from golf.launch.worker import report
from golf.paths import config_dir
from golf.report.compare import _rich
from golf.report.tables import Table
from golf.sweep.conclusion import conclude
from golf.tracker.console import Console
from golf.utils.cli import exit_code
from golf.utils.terminal import printable
from golf.verify.finding import Finding
from golf.verify.verify import show

EVIL = "\x1b[2J[red]\x9b31m\u202e\udce9"
SHOWN = r"\x1b[2J[red]\x9b31m\u202e\udce9"


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zs"])))
def test_printable_text_can_be_printed_and_stays_as_it_is(text):
    shown = printable(text)
    assert all(char.isprintable() or char in "\n\t" for char in shown)
    assert shown.encode().decode() == shown
    assert printable(shown) == shown
    assert shown == text or not text.isprintable()


def job(directory: Path) -> None:
    console = Console()
    console.start(Job(directory / EVIL, {}, {}))
    console.event("data_checked", files=EVIL)
    console.metrics("train", 1, loss=1.0)
    console.finish({"stage_seconds": {}})


def mistake(directory: Path) -> None:
    def command() -> int:
        raise UserError(f"{EVIL}: is no such file")

    assert exit_code(command) == 2


def sweep(directory: Path) -> None:
    status = {"state": "done", "overrides": [f"input={EVIL}", ""], "objectives": {}, "error": EVIL}
    status |= {"started": 0.0, "seconds": 0.0}
    for number in (1, 2):
        (directory / str(number)).mkdir()
        status["overrides"][1] = f"seed={number}"
        (directory / str(number) / "status.json").write_text(json.dumps(status))
    conclude(directory, [])


def tables(directory: Path) -> None:
    RichConsole(width=200).print(_rich(Table(EVIL, [EVIL], [[EVIL]], EVIL)))


def verify(directory: Path) -> None:
    show(Path(EVIL), [Finding(EVIL, "failed", EVIL)])


def worker(directory: Path) -> None:
    report(UserError(EVIL))


@pytest.mark.parametrize("say", [job, mistake, sweep, tables, verify, worker])
def test_what_is_printed(tmp_path, capsys, monkeypatch, say):
    monkeypatch.setenv("COLUMNS", "200")
    say(tmp_path)
    out, err = capsys.readouterr()
    assert SHOWN in out + err
    assert (out + err).replace("\n", "").isprintable()


def test_what_is_logged():
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        hydra = compose("config", return_hydra_config=True).hydra
    formatter = DictConfigurator({}).configure_formatter(OmegaConf.to_container(hydra.job_logging.formatters.simple))
    record = logging.LogRecord("golf", logging.WARNING, "", 0, "upload later: wandb sync %s", (EVIL,), None)
    assert formatter.format(record) == f"upload later: wandb sync {SHOWN}"


@pytest.mark.slow
def test_a_job_in_a_directory_with_such_a_name(tmp_path):
    directory = tmp_path / "\x1b[31mred"
    directory.mkdir()
    done = golf(directory, "experiment=tiny", "cache=off", "stages=[train]", "trainer.steps=1", "ttt=none")
    assert done.returncode == 0, done.stderr
    (log,) = directory.glob("multirun/*/*/job.log")
    for text in (done.stdout, log.read_text()):
        assert r"\x1b[31mred/multirun" in text
        assert "\x1b" not in text
