"""W&B for real, offline: what a run records, where its files lie, and that it never waits, asks or fails."""

import json
import logging
import os
import pty
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from servers import WandbServer, answering, failing_api, refusing, silent
from wandb_reader import runs

from golf.build import build
from golf.errors import UserError
from golf.events import Events, Job, Listener
from golf.tracker import wandb_run
from golf.tracker.online import credentials, unreachable

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("wandb_home", "fresh_wandb")]
ROOT = Path(__file__).parents[2]
SPEC = yaml.safe_load((ROOT / "conf/tracker/wandb.yaml").read_text())
KEY = "0123456789abcdef" * 4
CONFIG = {"model": {"num_layers": 2, "ema": None}, "stages": ["train", "evaluate"]}
RESULTS = {
    "val_bpb": 1.25,
    "val_loss": 3.5,
    "prequant": None,
    "ttt": {"val_loss": 3.5, "val_bpb": 1.25},
    "total_bytes": 20000,
    "train": {"steps": 3, "tokens": 768},
    "seed": 1337,
}


def tracker(**overrides):
    return build(SPEC | overrides)


def job(directory):
    directory.mkdir(exist_ok=True)
    (directory / "artifact.golf").write_bytes(bytes(1000))
    return Job(directory, CONFIG, {"quantizer": "gptq"})


def run_job(directory, results, **overrides):
    say_all(tracker(**overrides), directory, results)


def say_all(listener, directory, results):
    listener.start(job(directory))
    for step in (1, 2, 3):
        listener.metrics("train", step, loss=5.0 - step, lr_scale=1.0)
        if step == 3:
            listener.metrics("validate", step, val_loss=3.0, val_bpb=1.5)
    for chunk in (0, 1):
        listener.metrics("ttt", chunk, val_bpb=1.5 - chunk / 4, lr=0.005)
    listener.progress("ttt", 2, 2)
    listener.event("stage_finished", stage="ttt")
    listener.finish(results)


@pytest.fixture(scope="module")
def recorded(wandb_home, tmp_path_factory):
    """A job that fails, then resumes and ends well: its directory, its two recordings and the first's log lines."""
    directory = tmp_path_factory.mktemp("runs") / "a job"
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("golf").addHandler(handler)
    run_job(directory, None, group="a group", variant="ttt.epochs=0", tags=["smoke", "cpu"])
    first_lines = list(lines)
    time.sleep(1.1)  # W&B names its folders by the second
    run_job(directory, RESULTS, group="a group", name="tiny/gptq")
    logging.getLogger("golf").removeHandler(handler)
    assert list(wandb_home.rglob("*")) == []  # not in the home, not in the working directory
    return SimpleNamespace(directory=directory, runs=runs(directory), first_lines=first_lines, last_line=lines[-1])


def test_config_and_labels(recorded):
    run = recorded.runs[0]
    assert {key: value for key, value in run.config.items() if key != "_wandb"} == CONFIG | {
        "choices": {"quantizer": "gptq"},
        "variant": "ttt.epochs=0",
    }
    assert (run.project, run.group, run.tags) == ("golf", "a group", ["smoke", "cpu"])


def test_curves_have_their_axes(recorded):
    run = recorded.runs[0]
    assert run.curve("train/step", "train/loss") == [(1, 4.0), (2, 3.0), (3, 2.0)]
    assert run.curve("train/step", "validate/val_bpb") == [(3, 1.5)]
    assert run.curve("ttt/chunk", "ttt/val_bpb") == [(0, 1.5), (1, 1.25)]
    assert run.axes == {"train/*": "train/step", "validate/*": "train/step", "ttt/*": "ttt/chunk"}


def test_summary_is_results_json(recorded):
    summary = recorded.runs[1].summary
    expected = {key: value for key, value in RESULTS.items() if value is not None}
    assert {key: summary[key] for key in expected} == expected
    assert "prequant" not in summary


def test_artifact_and_its_staged_copy(recorded):
    failed, run = recorded.runs
    assert failed.artifacts == []
    (artifact,) = run.artifacts
    assert (artifact.type, artifact.name) == ("model", "tiny_gptq")
    assert json.loads(artifact.metadata) == {"bytes": 1000, "val_bpb": 1.25}
    (entry,) = artifact.manifest.contents
    assert (entry.path, entry.size) == ("artifact.golf", 1000)
    assert Path(entry.local_path).is_relative_to(recorded.directory)
    assert Path(entry.local_path).read_bytes() == bytes(1000)


def test_failure_is_marked_and_resuming_continues_the_run(recorded):
    failed, run = recorded.runs
    assert (failed.exit_code, run.exit_code) == (1, 0)
    assert failed.id == run.id == (recorded.directory / "wandb" / "run_id").read_text()


def test_without_a_key_one_line_says_how_to_upload(recorded):
    folders = sorted(str(path) for path in recorded.directory.glob("wandb/offline-run-*"))
    (line,) = recorded.first_lines
    assert "no key for https://" in line
    assert line.endswith(shlex.join(["wandb", "sync", folders[0]]))
    assert recorded.last_line.endswith(shlex.join(["wandb", "sync", *folders]))


def test_no_prompt_and_no_file_outside_the_run_directory(tmp_path):
    """Without a key; a process of its own on a terminal of its own, where a question would wait for an answer."""
    home, directory = tmp_path / "home", tmp_path / "run"
    home.mkdir()
    directory.mkdir()
    program = f"""
import sys
from pathlib import Path
from golf.build import build
from golf.events import Job
from golf.tracker import wandb_run
tracker = build({SPEC!r})
assert "wandb" not in sys.modules
tracker.start(Job(Path({str(directory)!r}), {{}}, {{}}))
tracker.metrics("train", 1, loss=1.0)
tracker.finish({{"val_bpb": 1.0}})
"""
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = os.environ | {
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=home, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        deadline = threading.Timer(60, process.kill)
        deadline.start()
        output = b""
        while chunk := _read(ours):
            output += chunk
        os.close(ours)
        deadline.cancel()
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()
    assert process.wait() == 0, output.decode()
    assert len(output.splitlines()) == 1, output.decode()
    assert output.startswith(b"W&B is offline (no key")
    assert list(home.rglob("*")) == []
    assert runs(directory)[0].curve("train/step", "train/loss") == [(1, 1.0)]


def _read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def warnings(caplog):
    """What the tracker warned of; W&B's own log lines stay in W&B's own files, though pytest sees them."""
    ours = [record for record in caplog.records if record.name.startswith("golf")]
    assert all(record.levelno == logging.WARNING for record in ours)
    return [record.getMessage() for record in ours]


def failure(directory, *others, **overrides):
    """What a job of which W&B fails records of that, once."""
    told = []

    class Told(Listener):
        def event(self, name, **fields):
            if name == "listener_failed":
                told.append(fields)

    say_all(Events([Told()], [tracker(**overrides), *others]), directory, RESULTS)
    (fields,) = told
    assert fields["listener"] == "Wandb"
    return fields["error"]


def offline_run(directory, caplog):
    """Start and end a job that must go offline within 5 s: the log line and what was recorded."""
    listener = tracker(probe_seconds=0.5)
    before = time.monotonic()
    listener.start(job(directory))
    assert time.monotonic() - before < 5
    listener.metrics("train", 1, loss=1.0)
    listener.finish(RESULTS)
    assert len(runs(directory)[0].history) == 1
    (line,) = warnings(caplog)
    return line


def test_the_probe_leaves_wandb_two_of_the_five_seconds():
    assert SPEC["probe_seconds"] <= 3


def test_a_key_and_a_server_that_refuses(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", refusing())
    assert "no answer from http://127.0.0.1" in offline_run(tmp_path / "run", caplog)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in path.read_bytes() for path in files)


def test_a_key_and_a_server_that_never_answers(tmp_path, monkeypatch, caplog):
    with silent() as url:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert f"no answer from {url}" in offline_run(tmp_path / "run", caplog)


def test_a_server_that_answers_but_takes_no_run(tmp_path, monkeypatch, caplog):
    with answering(401) as url:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert "401" in offline_run(tmp_path / "run", caplog)


@pytest.mark.parametrize("status", [500, None])
def test_a_server_whose_api_fails(status, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(wandb_run.SETTINGS, "init_timeout", 0.5)
    with failing_api(status) as url:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", url)
        line = offline_run(tmp_path / "run", caplog)
    assert "W&B is offline (CommError: " in line
    assert "\n" not in line


def test_a_start_may_take_seconds_and_no_more():
    assert wandb_run.SETTINGS["init_timeout"] + SPEC["probe_seconds"] <= 15


def test_a_server_that_dies_in_mid_run_and_what_it_did_not_take(tmp_path, monkeypatch, caplog):
    server = WandbServer()
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.address)
    monkeypatch.setitem(wandb_run.SETTINGS, "finish_timeout", 1.0)
    listener = tracker(log_artifact=False)
    listener.start(job(tmp_path / "run"))
    for step in range(1, 101):
        listener.metrics("train", step, loss=1 / step)
        if step == 10:
            server.die()
    listener.finish(RESULTS)
    assert "UpsertBucket" in server.asked
    (folder,) = (tmp_path / "run").glob("wandb/run-*")
    command = shlex.join(["wandb", "sync", str(folder)])
    assert warnings(caplog) == [f"W&B has not received everything within 1 s; to upload: {command}"]
    (run,) = runs(tmp_path / "run")
    assert run.curve("train/step", "train/loss") == [(step, 1 / step) for step in range(1, 101)]
    assert (run.summary["val_bpb"], run.exit_code) == (1.25, 0)


def test_the_key_in_netrc_and_in_the_settings_file(tmp_path, monkeypatch, caplog):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {refusing().removeprefix('http://')} login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("WANDB_BASE_URL", "http://" + netrc.read_text().split()[1])
    assert "no answer from" in offline_run(tmp_path / "netrc_run", caplog)

    caplog.clear()
    monkeypatch.delenv("NETRC")
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    (tmp_path / "settings").write_text(f"[default]\nbase_url = {refusing()}\napi_key = {KEY}\n")
    assert "no answer from" in offline_run(tmp_path / "settings_run", caplog)


def test_credentials_belong_to_their_host(tmp_path, monkeypatch):
    def found(base_url, **keys):
        return credentials(SimpleNamespace(**{"api_key": None, "identity_token_file": None} | keys, base_url=base_url))

    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert found("https://api.wandb.ai") == found("https://api.forge.coreweave.com") == {"api_key": KEY}
    assert found("https://wandb.example.org") is None
    assert found("https://wandb.example.org", api_key=KEY) == {}
    netrc.write_text("machine without sense")
    assert found("https://api.wandb.ai") is None


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (404, True), (503, False)])
def test_any_answer_of_the_server_itself_means_online(status, reachable):
    with answering(status) as url:
        assert (unreachable(url, 5.0) is None) == reachable


def test_a_name_that_is_looked_up_forever(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(30))
    before = time.monotonic()
    assert "within 0.2 s" in unreachable("https://wandb.example.org", 0.2)
    assert time.monotonic() - before < 5
    released.set()


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_wandb_mode_is_respected(mode, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run_job(tmp_path / "run", RESULTS)
    assert len(runs(tmp_path / "run")) == (1 if mode == "offline" else 0)
    assert all("W&B's own mode is offline" in line for line in warnings(caplog))


def test_online_without_a_key_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="WANDB_API_KEY"):
        tracker(mode="online").check()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [("WANDB_MODE", "nonsense", "W&B takes no mode=nonsense "), ("WANDB_BASE_URL", "nonsense", "base_url=nonsense ")],
)
def test_settings_that_wandb_does_not_take(name, value, problem, tmp_path, monkeypatch):
    """One line: of a mistake where W&B was asked for, and else of a job that goes on without."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as caught:
        tracker(mode="online").check()
    lines = (str(caught.value), failure(tmp_path / "run", mode="auto"))
    assert all(problem in line and name in line and "\n" not in line for line in lines)


def test_under_an_agent_a_run_is_the_one_that_it_waits_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "expected")
    run_job(tmp_path / "run", RESULTS, mode="offline")
    assert [run.id for run in runs(tmp_path / "run")] == ["expected"]
    monkeypatch.delenv("WANDB_RUN_ID")  # as the launcher does for the jobs of a sweep
    for name in ("one", "two"):
        run_job(tmp_path / name, RESULTS, mode="offline")
    ids = {run.id for name in ("one", "two") for run in runs(tmp_path / name)}
    assert len(ids - {"expected"}) == 2


def test_bytes_of_a_path_that_are_no_utf8(tmp_path):
    listener = tracker(mode="offline")
    (tmp_path / "run").mkdir()
    listener.start(Job(tmp_path / "run", {"data": {"path": os.fsdecode(b"caf\xe9"), "seed": 1}}, {}))
    listener.finish(RESULTS)
    (run,) = runs(tmp_path / "run")
    assert run.config["data"] == {"path": "caf?", "seed": 1}


def test_no_artifact_when_none_is_wanted(tmp_path):
    run_job(tmp_path / "run", RESULTS, mode="offline", log_artifact=False)
    assert runs(tmp_path / "run")[0].artifacts == []


def test_an_error_at_the_start_ends_the_tracking(tmp_path):
    assert "Invalid project name" in failure(tmp_path / "run", project="no/such:name", mode="offline")


def test_an_error_in_the_middle_ends_the_tracking(tmp_path):
    import wandb

    class Leaving(Listener):
        """After the first step W&B's service is gone, as if it had died."""

        def metrics(self, stage, step, **values):
            wandb.teardown()

    assert failure(tmp_path / "run", Leaving(), mode="offline")
