"""The dashboard: every panel shows what a real run records, and what is saved is what the dry run prints."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from runs import run
from servers import answering, refusing
from wandb_reader import Run, runs

from golf.dashboard.__main__ import main
from golf.report.wandb_summary import log_deltas

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("wandb_home", "fresh_wandb"),
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"),  # in wandb-workspaces
]
ROOT = Path(__file__).parents[2]
KEY = "0123456789abcdef" * 4
VIEWER = {"id": "1", "username": "me", "entity": "me"}
SAVED = {"viewer": VIEWER, "upsertView": {"view": {"id": "1", "name": "nw-a1-v"}}}
DELTA = {"variant": "ttt=none", "baseline": "ttt=score_first", "metric": "val_bpb", "seeds": 3}


@pytest.fixture(scope="module")
def recorded(wandb_home, tmp_path_factory) -> dict[str, set[str]]:
    """The names of all that one run of all stages and one report record, by where; a curve is recorded row by row."""
    directory = tmp_path_factory.mktemp("recorded")
    run(directory / "run", "tracker=wandb", "tracker.mode=offline", "tracker.variant=defaults")
    log_deltas(
        [DELTA | {"mean": 0.02, "low": 0.01, "high": 0.03, "p": 0.004}],
        directory / "report",
        {"project": "golf", "entity": None, "group": "a sweep", "mode": "offline", "probe_seconds": 3.0},
    )
    (job,), (report,) = runs(directory / "run"), runs(directory / "report")
    return {
        "history": {name for row in job.history for name in row},
        "curves": {f"{y} over {x}" for row in job.history for x in row for y in row},
        "summary": set(leaves(job.summary)),
        "config": set(leaves(job.config)),
        "tables": set(columns(report, directory / "report")),
    }


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Names of the values that are neither null nor further mappings, as W&B joins them."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name


def columns(report: Run, directory: Path) -> Iterator[str]:
    """Keys of the tables of a run, alone and with a column each."""
    for name, value in report.summary.items():
        key, _, part = name.rpartition("/")
        if part == "_type" and value == "table-file":
            yield key
            (path,) = directory.glob(f"wandb/offline-run-*/files/{report.summary[f'{key}/path']}")
            yield from (f"{key}:{column}" for column in json.loads(path.read_text())["columns"])


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, Any]:
    """The dry run, by its command, without a key; nobody is asked and no file is written."""
    home = tmp_path_factory.mktemp("dry")
    with socket.create_server(("127.0.0.1", 0)) as server:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
        environment |= {
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WANDB_BASE_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
        }
        command = [sys.executable, "-m", "golf.dashboard", "me/golf", "--name", "Golf of today", "--dry-run"]
        done = subprocess.run(
            command, cwd=home, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        server.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()
    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.iterdir()) == []
    return json.loads(done.stdout)


def shown(view: Mapping[str, Any]) -> dict[str, set[str]]:
    """What the panels of a workspace, as W&B stores it, refer to."""
    found: dict[str, set[str]] = {place: set() for place in ("history", "curves", "summary", "config", "tables")}
    for section in view["spec"]["section"]["panelBankConfig"]["sections"]:
        assert section["panels"], section["name"]
        for panel in section["panels"]:
            config = panel["config"]
            if "groupBy" in config:
                found["config"].add(config["groupBy"].removesuffix(".value"))
                assert (config["groupAgg"], config["aggregate"]) == ("mean", True)
            match panel["viewType"]:
                case "Run History Line Plot":
                    found["history"] |= {config["xAxis"], *config["metrics"]}
                    found["curves"] |= {f"{metric} over {config['xAxis']}" for metric in config["metrics"]}
                case "Bar Chart":
                    found["summary"] |= {*config["metrics"]}
                case "Scatter Plot":
                    for axis in (config["xAxis"], config["yAxis"]):
                        place, name = axis.split(":")
                        found[place].add(name.removesuffix(".value"))
                case "Vega2":
                    (query,) = config["userQuery"]["queryFields"]
                    (table,) = (field for field in query["fields"] if field["name"] == "summaryTable")
                    (key,) = (argument["value"] for argument in table["args"])
                    found["tables"] |= {f"{key}:{column}" for column in config["fieldSettings"].values()}
                case "Weave":
                    found["tables"].add(config["panel2Config"]["exp"]["fromOp"]["inputs"]["key"]["val"])
                case other:
                    pytest.fail(f"where does a panel of type {other} name its metrics?")
    return found


def test_every_panel_shows_what_a_run_records(printed, recorded):
    for place, names in shown(printed["workspace"]).items():
        assert names
        assert names - recorded[place] == set()


def test_the_dry_run_lists_the_metrics_of_its_panels(printed):
    listed = {place: set(names) for place, names in printed["metrics"].items()}
    assert listed == {place: names for place, names in shown(printed["workspace"]).items() if place != "curves"}


def test_what_is_asked_for_is_shown(printed):
    shown_here = shown(printed["workspace"])
    assert {"seed", "variant"} <= shown_here["config"]
    assert {"train/loss", "validate/val_bpb", "ttt/val_bpb", "train/tokens_per_second"} <= shown_here["history"]
    assert {"val_bpb", "artifact_bytes", "total_bytes", "stage_seconds.train"} <= shown_here["summary"]
    assert {f"ablations/val_bpb:{column}" for column in ("variant", "mean", "low", "high")} <= shown_here["tables"]
    assert "16,000,000" in json.dumps(printed["workspace"])


def test_what_is_saved_is_what_the_dry_run_prints(printed, monkeypatch, capsys):
    heard: list[bytes] = []
    with answering(200, json.dumps({"data": SAVED}).encode(), heard) as url:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert dashboard(monkeypatch, "me/golf", "--name", "Golf of today") == 0
    assert capsys.readouterr() == (f"{url}/me/golf?nw=a1\n", "")
    (saved,) = (json.loads(body)["variables"] for body in heard if b"mutation" in body)
    expected = printed["workspace"]
    assert (saved["entityName"], saved["projectName"], saved["displayName"]) == ("me", "golf", "Golf of today")
    assert without_ids(json.loads(saved["spec"])) == without_ids(expected["spec"])


def without_ids(value: Any) -> Any:
    """Panels have a random one each."""
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items() if key != "__id__"}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


def dashboard(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["golf.dashboard", *arguments])
    return main()


def complaint(monkeypatch, capsys, *arguments: str) -> str:
    """The one line that it ends with."""
    assert dashboard(monkeypatch, *arguments) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    return errors


def test_without_a_key_a_server_or_leave_it_ends_with_one_line(monkeypatch, capsys):
    assert "no key for" in complaint(monkeypatch, capsys, "me/golf")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    sys.modules["wandb"].teardown()
    monkeypatch.setenv("WANDB_BASE_URL", refusing())
    assert "no answer from http://127.0.0.1" in complaint(monkeypatch, capsys, "me/golf")
    sys.modules["wandb"].teardown()
    with answering(401) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert "W&B did not save the workspace" in complaint(monkeypatch, capsys, "me/golf")


@pytest.mark.parametrize("project", ["golf", "me/", "/golf", "me/golf/runs"])
def test_a_project_has_an_entity(project, monkeypatch, capsys):
    assert "give ENTITY/PROJECT" in complaint(monkeypatch, capsys, project, "--dry-run")


def test_without_the_extra_one_line_names_it(monkeypatch, capsys):
    import golf.dashboard

    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    monkeypatch.delitem(sys.modules, "golf.dashboard.workspace", raising=False)
    monkeypatch.delattr(golf.dashboard, "workspace", raising=False)
    assert "pip install 'golf[dashboard]'" in complaint(monkeypatch, capsys, "me/golf", "--dry-run")
