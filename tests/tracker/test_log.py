"""The log of a job."""

import pytest
from runs import FEW, run

from golf.tracker import jsonl


@pytest.mark.slow
def test_it_has_every_event_and_every_point_of_the_curves(tmp_path):
    results = run(tmp_path, *FEW)
    text = (tmp_path / "job.log").read_text()
    said = jsonl.read(tmp_path)
    for line in said:
        if line["kind"] == "metrics":
            assert f"\n{line['stage']:<16} step {line['step']} " in text
        else:
            assert line["name"].removeprefix("stage_").replace("_", " ") in text
    assert len([line for line in text.splitlines() if " step " in line]) >= sum(x["kind"] == "metrics" for x in said)
    assert f"{results['val_bpb']:.5f}" in text
    assert "\x1b" not in text


@pytest.mark.slow
def test_a_second_run_goes_on_in_the_same_file(tmp_path):
    for _ in range(2):
        run(tmp_path, "stages=[train]", "trainer.steps=1")
    assert (tmp_path / "job.log").read_text().count("unigram") == 2
