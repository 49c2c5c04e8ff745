"""What a job of a sweep tells: its status, and its objectives to the sweeper."""

import pytest

from golf.errors import UserError
from golf.sweep import status
from golf.sweep.sweep import Sweep

RESULTS = {"val_bpb": 1.25, "artifact_bytes": 1000, "sliding": {"val_bpb": 1.5}, "ttt": None}


def swept(*objectives: str) -> Sweep:
    return Sweep(objectives=list(objectives))


def job(directory, *objectives: str, **kinds):
    values = lambda: swept(*objectives).values(RESULTS)  # noqa: E731
    return status.run_once(directory, ["seed=1"], objectives, values, lambda done: True, **kinds)


@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        (["val_bpb"], 1.25),
        (["artifact_bytes", "val_bpb"], (1000, 1.25)),
        (["sliding.val_bpb"], 1.5),
        (["val_bpb", "ttt.val_bpb"], None),
        (["train.seconds"], None),
    ],
)
def test_a_job_tells_its_objectives_or_has_failed(tmp_path, objectives, told):
    assert job(tmp_path, *objectives) == told
    written = status.read(tmp_path)
    if told is None:
        assert (written["state"], written["objectives"]) == ("failed", None)
        assert f"sweep.objectives: {objectives[-1]} was not computed" in written["error"]
    else:
        values = told if isinstance(told, tuple) else (told,)
        assert (written["state"], written["objectives"]) == ("done", dict(zip(objectives, values, strict=True)))
    assert list(status.read(tmp_path)) == ["state", "overrides", "started", "seconds", "objectives", "error"]


def test_a_job_that_is_done_tells_the_same_again(tmp_path):
    job(tmp_path, "val_bpb")
    before = status.read(tmp_path)
    assert job(tmp_path, "val_bpb") == 1.25
    assert status.read(tmp_path) == before
    assert job(tmp_path, "artifact_bytes") == 1000  # not what it told when others were asked for
    assert status.read(tmp_path)["objectives"] == {"artifact_bytes": 1000}


def test_only_what_belongs_to_the_job_is_done(tmp_path):
    def run_once(val_bpb, belongs):
        return status.run_once(tmp_path, ["seed=1"], ["val_bpb"], lambda: {"val_bpb": val_bpb}, belongs)

    def refuse(done):
        raise UserError("holds another run")

    assert run_once(1.25, lambda done: done) == 1.25
    before = (tmp_path / status.FILE).stat()
    with pytest.raises(UserError, match="holds another run"):
        run_once(1.5, refuse)
    assert (tmp_path / status.FILE).stat() == before
    assert run_once(1.5, lambda done: done) == 1.25  # and is told that it is done
    assert run_once(1.5, lambda done: False) == 1.5  # nothing there is the job's


def test_who_takes_a_job_away_has_not_failed_it(tmp_path):
    def taken_away():
        raise SystemExit(-1)

    with pytest.raises(SystemExit):
        status.run_once(tmp_path, ["seed=1"], ["val_bpb"], taken_away, lambda done: True)
    assert status.read(tmp_path)["state"] == "running"
    assert job(tmp_path, "val_bpb") == 1.25


def test_of_several_hosts_one_keeps_the_status(tmp_path, capsys):
    job(tmp_path, "val_bpb", main=False)
    job(tmp_path, "train.seconds", main=False)
    assert "train.seconds was not computed" in capsys.readouterr().err
    assert status.read(tmp_path) is None


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (["val_bp"], r"sweep\.objectives: val_bp: no such metric; did you mean val_bpb\? \(metrics: artifact_bytes, "),
        (["val_bpb", "seed"], r"sweep\.objectives: seed: no such metric"),
        ([], r"sweep\.objectives=\[\] compares nothing; choose from val_bpb, "),
    ],
)
def test_an_objective_that_does_not_exist(objectives, message):
    with pytest.raises(UserError, match=message):
        swept(*objectives).check()


@pytest.mark.parametrize("content", ["[]", "{", '{"state": "done", "objectives": null}'])
def test_a_status_that_cannot_be_read_is_a_failure_and_run_again(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    assert status.read(tmp_path)["state"] == "failed"
    assert "status.json: " in status.read(tmp_path)["error"]
    assert job(tmp_path, "val_bpb") == 1.25
    assert status.read(tmp_path)["state"] == "done"
