"""A run directory belongs to one run: another one there is refused, and touches nothing."""

import json
import re
import shutil
from pathlib import Path

import faults
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import run

from golf import paths
from golf.errors import UserError
from golf.run import identity
from golf.run.identity import difference

pytestmark = pytest.mark.slow

TRAIN = ("stages=[train]", "trainer.steps=1", "trainer.batch_tokens=256", "data.val_tokens=130")
FIXTURE = paths.PACKAGE / "data" / "fixture"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run, to be copied before another one is tried there."""
    directory = tmp_path_factory.mktemp("trained") / "run"
    run(directory, *TRAIN)
    return directory


@pytest.fixture
def there(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def state(directory: Path) -> dict[Path, int]:
    """When it and what lies there was last changed."""
    return {path: path.stat().st_mtime_ns for path in [directory, *directory.rglob("*")]}


def refused(directory: Path, *overrides: str) -> str:
    """Why; nothing there was touched."""
    before = state(directory)
    with pytest.raises(UserError) as error:
        run(directory, *overrides)
    assert state(directory) == before
    return str(error.value)


@pytest.mark.parametrize(
    ("overrides", "other"),
    [
        (["seed=7"], "seed is 1337 there and 7 here"),
        (["trainer.ema=null"], "trainer.ema is 0.5 there and null here"),
        (["optimizer=adamw"], 'optimizer._target_ is "golf.optim.muon_adamw.MuonAdamW" there and "golf.optim.'),
        (["stages=[train,quantize]"], 'stages is ["train"] there and ["train", "quantize"] here'),
    ],
)
def test_another_configuration(there, overrides, other):
    message = refused(there, *TRAIN, *overrides)
    assert message.startswith(f"{there}: holds another run ({other}")
    assert message.endswith("); give another hydra.run.dir or hydra.sweep.dir, or overwrite=true to replace it")
    assert "\n" not in message


def test_what_changes_no_result_makes_no_other_run(there):
    run(
        there,
        *TRAIN,
        "compute.attention=sdpa",
        "compute.device=cpu",
        "resume=off",
        "quantizer=rtn",
        "launch.rdzv_timeout=60",
    )


def test_other_data(tmp_path):
    for file in FIXTURE.glob("*.*"):
        shutil.copy(file, tmp_path)
    data = ("data=shards", f"data.path={tmp_path}", f"data.tokenizer={tmp_path}/tokenizer.model")
    run(tmp_path / "run", *data, *TRAIN)
    (tmp_path / "corpus_train_000001.bin").rename(tmp_path / "corpus_train_000002.bin")
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(UserError, match=r"run: holds another run \(other data: train\); give another"):
        run(tmp_path / "run", *data, *TRAIN)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_other_code_of_ones_own(tmp_path, monkeypatch):
    code = "from golf.optim.adamw import AdamW\nclass Identified(AdamW):\n    x = 1\n"
    (tmp_path / "identified.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    mine = (*TRAIN, "optimizer=adamw", "optimizer._target_=identified.Identified")
    run(tmp_path / "run", *mine)
    (tmp_path / "identified.py").write_text(f"# what it does stays\n{code}")
    run(tmp_path / "run", *mine)
    (tmp_path / "identified.py").write_text(code.replace("1", "2"))
    assert "(other code: train)" in refused(tmp_path / "run", *mine)


def test_another_input_at_the_same_place(there, tmp_path):
    evaluate = ("stages=[quantize]", "quantizer=rtn", "data.val_tokens=130", f"input={there}")
    run(tmp_path / "quantized", *evaluate)
    run(there, *TRAIN, "seed=7", "overwrite=true")
    message = refused(tmp_path / "quantized", *evaluate)
    assert "(data.seed is 1337 there and 7 here)" in message  # what it takes over from its input
    message = refused(tmp_path / "quantized", *evaluate, "data.seed=1337")
    assert "(data.seed" in message  # not set by a command line here
    run(there, *TRAIN, "trainer.steps=2", "overwrite=true")
    assert "(other input: checkpoint.pt)" in refused(tmp_path / "quantized", *evaluate)


def test_overwriting(tmp_path, monkeypatch):
    """Nothing of the run before is left to be taken for this one's, from the beginning on."""
    quantized = ("stages=[train,quantize]", "quantizer=rtn", *TRAIN[1:])
    first = run(tmp_path, *quantized)
    monkeypatch.setattr(faults, "happens", lambda: 1 // 0)
    with pytest.raises(ArithmeticError):
        run(tmp_path, *TRAIN, "trainer.steps=2", faults.OPTIMIZER, "overwrite=true")
    left = {path.name for path in tmp_path.iterdir()}
    assert not {"results.json", "train.json", "quantize.json", "checkpoint.pt", "artifact.golf"} & left
    again = run(tmp_path, *quantized, "overwrite=true")
    assert again["prequant"] == first["prequant"]
    results = (tmp_path / "results.json").read_text()
    assert run(tmp_path, *quantized, "overwrite=true")["prequant"] == json.loads(results)["prequant"]  # the same run
    alone = run(tmp_path, "stages=[quantize]", "quantizer=rtn", "data.val_tokens=130", "overwrite=true")
    assert alone["prequant"] == first["prequant"]  # of the training that it read from there


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", None, "holds another run (config.yaml, but no run.json)"),
        ("run.json", "", "run.json: cannot be read as JSON (Expecting value"),
        ("run.json", "[]", "run.json: expected "),
        ("run.json", "{}", "run.json: has no identity, started"),
        (
            "multirun.yaml",
            "",
            "is a sweep's directory; give another hydra.run.dir, or go on with the sweep by golf resu",
        ),
    ],
)
def test_a_directory_of_which_nobody_knows(there, file, content, message):
    if content is None:
        (there / file).unlink()
    else:
        (there / file).write_text(content)
    assert message in refused(there, *TRAIN)


VALUES = st.recursive(
    st.none() | st.integers(0, 2) | st.floats(allow_nan=False) | st.text("xy", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(*[st.dictionaries(st.sampled_from("abc"), VALUES)] * 2)
def test_what_is_named_differs_and_nothing_else_does(one, other):
    kept, named = json.loads(json.dumps({"config": one})), difference({"config": one}, {"config": other})
    assert difference(kept, {"config": one}) is None
    assert (named is None) == (one == other)
    if named is not None:
        key, *values = re.fullmatch("([abc.]+) is (.*) there and (.*) here", named).groups()
        for found, value in zip((one, other), values, strict=True):
            for part in key.split("."):
                found = found.get(part, ...)
            assert value == ("absent" if found is ... else json.dumps(found))
        assert values[0] != values[1]


def test_what_is_not_compared_is_no_difference():
    assert difference({"config": {}, "data": {"train": 1}}, {"config": {}}) is None
    assert identity.read(Path("nowhere")) is None
