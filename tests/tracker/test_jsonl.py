"""metrics.jsonl is valid JSON, whatever is said, and gives back what was said."""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golf.events import Job, Listener
from golf.run.plots import plot_all
from golf.tracker.jsonl import JsonLines, read, read_metrics


def strict(line: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(line, parse_constant=refuse)


@given(
    st.lists(st.tuples(st.integers(0, 2**63 - 1), st.dictionaries(st.sampled_from(["loss", "lr_scale"]), st.floats())))
)
def test_round_trip(said):
    with TemporaryDirectory() as name:
        directory = Path(name)
        listener = JsonLines()
        listener.start(Job(directory, {}, {}))
        for step, values in said:
            listener.metrics("train", step, **values)
        listener.finish(None)

        lines = read(directory)
        assert [strict(line) for line in (directory / "metrics.jsonl").read_text().splitlines()] == lines
        assert [line["step"] for line in lines] == [step for step, _ in said]
        for line, (_, values) in zip(lines, said, strict=True):
            assert (line["kind"], line["stage"]) == ("metrics", "train")
            for key, value in values.items():
                back = float(line[key])
                assert back == value or (math.isnan(back) and math.isnan(value))


def test_events_and_resuming(tmp_path):
    for seconds in (1.5, math.inf):
        listener = JsonLines()
        listener.start(Job(tmp_path, {}, {}))
        listener.event("stage_finished", stage="train", nested={"seconds": [seconds]})
        assert len(read(tmp_path)) == (1 if seconds == 1.5 else 2)  # written at once, not only at the end
        listener.finish(None)

    first, second = read(tmp_path)
    assert first["kind"] == "event"
    assert (first["name"], first["stage"], first["nested"]) == ("stage_finished", "train", {"seconds": [1.5]})
    assert second["nested"] == {"seconds": ["inf"]}
    assert 0 < first["time"] <= second["time"]


def say(directory: Path, time: int, steps: range) -> None:
    """One job that trains for the steps, and scores what the first job trained too."""
    listener = JsonLines()
    listener.start(Job(directory, {}, {}))
    listener.event("stage_started", stage="train")
    for step in steps:
        listener.metrics("train", step, time_said=time)
    listener.metrics("validate", steps[-1], time_said=time)
    if time == 1:
        listener.event("stage_started", stage="evaluate")
        listener.metrics("ttt", 4, time_said=time)
    listener.finish(None)


@pytest.mark.parametrize(
    ("again", "train", "validate"),
    [
        (range(1, 3), {1: 2, 2: 2}, {2: 2}),  # from the start, and shorter
        (range(3, 5), {1: 1, 2: 1, 3: 2, 4: 2}, {4: 2}),  # resumed after step 2
        (range(7, 9), {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 7: 2, 8: 2}, {5: 1, 8: 2}),  # resumed after what was said
    ],
    ids=["run_again", "resumed", "resumed_later"],
)
def test_metrics_of_a_stage_that_started_again(tmp_path, again, train, validate):
    """Each step with the time that counts; a stage that did not start again keeps what it said."""
    say(tmp_path, 1, range(1, 6))
    say(tmp_path, 2, again)
    lines = read_metrics(tmp_path)
    for stage, said in (("train", train), ("validate", validate), ("ttt", {4: 1})):
        assert [(line["step"], line["time_said"]) for line in lines if line["stage"] == stage] == list(said.items())


def test_a_line_cut_short_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "event", "name": "whole"}\n{"kind": "ev')
    listener = JsonLines()
    listener.start(Job(tmp_path, {}, {}))
    listener.event("after")
    listener.finish(None)
    assert [line["name"] for line in read(tmp_path)] == ["whole", "after"]


def test_without_a_file(tmp_path):
    assert read(tmp_path) == []


def test_values_json_cannot_hold_are_a_mistake(tmp_path):
    listener = JsonLines()
    listener.start(Job(tmp_path, {}, {}))
    with pytest.raises(TypeError):
        listener.event("strange", value=object())
    listener.finish(None)


def test_lines_of_somebody_else_are_skipped_and_counted(tmp_path, caplog):
    """And so the job, its pictures and reports go on."""
    lines = [b'{"kind": "event", "name": "one"}', b"\0" * 4096, b"\xff", b"[]", b"[" * 10**5, b'{"kind": "metrics"}']
    lines += [
        b'{"kind": "metrics", "stage": "train", "step": 1, "loss": %s}' % value for value in (b'"x"', b"[]", b"2.5")
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    for _ in range(2):
        assert [line.get("name", line.get("loss")) for line in read(tmp_path)] == ["one", 2.5]
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/metrics.jsonl: 7 lines cannot be read and are skipped"
    ]
    assert plot_all(tmp_path, Listener()) == [tmp_path / "learning_curve.png"]
