"""More than 16,000,000 bytes, by real runs of the quantize stage on weights that take a little more."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from runs import composed, run

from golf import paths
from golf.build import build
from golf.errors import UserError
from golf.io.checkpoint import write_checkpoint
from golf.io.limits import TOTAL_BYTES
from golf.tracker import jsonl
from golf.utils.hashing import sha256

pytestmark = pytest.mark.slow

WIDE = [f"model.{key}=580" for key in ("model_dim", "embedding_dim")] + [
    "model.num_heads=10",
    "model.num_kv_heads=10",
    "model.mlp_mult=4.0",
]
EIGHT_BITS = ("quantizer=rtn", "quantizer.matrix_bits=8")


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """A run directory with a checkpoint of random weights: 24 million."""
    directory = tmp_path_factory.mktemp("wide")
    model = composed("experiment=tiny", *WIDE)["model"]
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build(model).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    tokenizer = sha256(paths.PACKAGE / "data" / "fixture" / "tokenizer.model")
    write_checkpoint(
        directory / "checkpoint.pt", {"model": model, "tokenizer_sha256": tokenizer, "raw": state, "ema": None}
    )
    return directory


def quantized(directory: Path, wide: Path, *overrides: str) -> dict:
    return run(directory, "stages=[quantize,evaluate]", f"input={wide}", "data.val_tokens=130", "ttt=none", *overrides)


def refused(directory: Path, wide: Path, *overrides: str) -> str:
    """What the job that quantizes says when it ends with an error."""
    with pytest.raises(UserError) as caught:
        quantized(directory, wide, *overrides)
    return str(caught.value)


@pytest.fixture(scope="module")
def over(wide, tmp_path_factory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("over")
    cache = ("cache=on", f"cache.directory={directory / 'cache'}")
    message = refused(directory / "run", wide, *EIGHT_BITS, *cache)
    assert refused(directory / "again", wide, *EIGHT_BITS, *cache) == message.replace("/run", "/again")
    ended = [line for line in jsonl.read(directory / "again") if line.get("name") == "stage_finished"]
    assert [line["from_cache"] for line in ended] == [True]
    return directory / "run", message


def test_it_is_an_error_that_shows_where_the_bytes_are(over):
    directory, message = over
    size = (directory / "artifact.golf").stat().st_size
    assert re.match(rf"{directory}/artifact\.golf: with the code it is [\d,]+ bytes above the limit of 1", message)
    assert "\n" not in message
    numbers = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d(?= bytes| of 16|[,)])", message)]
    above, parts = numbers[0], re.search(r"\((.*?)\)", message)[1].split(", ")
    groups = {part.split()[0]: int(part.split()[1].replace(",", "")) for part in parts}
    assert list(groups) == ["attention", "mlp", "embedding", "other", "code"]
    assert sum(groups.values()) == pytest.approx(TOTAL_BYTES + above, abs=5)
    assert size + groups["code"] == TOTAL_BYTES + above
    assert groups["mlp"] / groups["attention"] == pytest.approx(2, rel=0.01)  # 8 · dim² weights and 4


def test_it_comes_before_the_evaluation_and_keeps_what_was_made(over):
    directory, _ = over
    names = {path.name for path in directory.iterdir()}
    assert names == {"artifact.golf", "quantize.json", "config.yaml", "metrics.jsonl", "job.log", "run.json"}


def test_what_it_says_brings_it_under(over, wide, tmp_path):
    clips = re.findall(r"quantizer\.\w+_clip=[\d.]+", over[1])
    assert [clip.partition("=")[0] for clip in clips] == ["quantizer.matrix_clip", "quantizer.embed_clip"]
    results = quantized(tmp_path, wide, *EIGHT_BITS, *clips, "stages=[quantize]")
    assert 0.98 * TOTAL_BYTES < results["total_bytes"] <= TOTAL_BYTES


def test_fit_bytes_brings_it_under(over, wide, tmp_path):
    assert "quantizer.fit_bytes=true" in over[1]
    results = quantized(tmp_path, wide, *EIGHT_BITS, "quantizer.fit_bytes=true", "stages=[quantize]")
    assert 0.995 * TOTAL_BYTES < results["total_bytes"] <= TOTAL_BYTES
    tries = [line for line in jsonl.read(tmp_path) if line.get("name") == "fit_bytes"]
    assert 2 <= len(tries) <= 3
    assert tries[0]["matrix_clip"] == 12.85
    result = json.loads((tmp_path / "quantize.json").read_text())["result"]
    assert result["artifact_bytes"] == results["artifact_bytes"] in [line["artifact_bytes"] for line in tries]
    assert result["matrix_clip"] / result["embed_clip"] == pytest.approx(12.85 / 20)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_it_can_be_scored_all_the_same(over, tmp_path, capsys):
    alone = shlex.split(over[1].partition("all the same, add ")[2])
    quick = ("data.val_tokens=130", "ttt=none", "evaluation.stride=128", "evaluation.probes=0")
    results = run(tmp_path, *alone, *quick)
    assert results["val_bpb"] == results["sliding"]["val_bpb"]
    assert f"{results['total_bytes'] - TOTAL_BYTES:,} bytes above the limit of 16,000,000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["quantizer=none", "codec=none"], "quantizer=gptq"),
        (["quantizer=rtn", "codec=none"], "codec=range"),
        (["quantizer=rtn", "quantizer.min_elements=100000000", "codec=none"], "no clip would bring it under"),
    ],
    ids=["float16", "codec", "out_of_reach"],
)
def test_what_else_would_bring_it_under(wide, tmp_path, overrides, remedy):
    message = refused(tmp_path, wide, *overrides)
    assert remedy in message
    assert "_clip=" not in message


# The rest of the quantize stage's part in it, on a model far below the limit


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("tiny")
    run(directory, "stages=[train]", "trainer.steps=2", "data.val_tokens=130")
    return directory


def small(directory: Path, tiny: Path, *overrides: str) -> dict:
    """The report of the quantize stage."""
    run(directory, "stages=[quantize]", f"input={tiny}", "data.val_tokens=130", *overrides)
    return json.loads((directory / "quantize.json").read_text())


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory) -> dict:
    return small(tmp_path_factory.mktemp("plain"), tiny)


@pytest.fixture(scope="module")
def fitted(tiny, tmp_path_factory) -> tuple[Path, dict]:
    directory = tmp_path_factory.mktemp("fitted")
    return directory, small(directory, tiny, "quantizer.fit_bytes=true")


def test_even_the_finest_codes_leave_room(plain, fitted):
    directory, record = fitted
    events = [line for line in jsonl.read(directory) if line["kind"] == "event"]
    tries, (end,) = ([line for line in events if line["name"] == name] for name in ("fit_bytes", "fitted"))
    sizes = [before["result"]["artifact_bytes"] for before in (plain, record)]
    assert [line["artifact_bytes"] for line in tries] == sizes
    assert end["finest"] is True
    assert end["unused"] == tries[0]["room"] - sizes[1]


def test_the_clips_of_the_record_give_the_same_artifact(tiny, fitted, tmp_path):
    directory, record = fitted
    small(tmp_path, tiny, *(f"quantizer.{name}={record['result'][name]}" for name in ("matrix_clip", "embed_clip")))
    assert (tmp_path / "artifact.golf").read_bytes() == (directory / "artifact.golf").read_bytes()


def test_what_is_fitted_depends_on_the_code(tiny, plain, fitted, tmp_path):
    """Another strategy of TTT is code of another size: it leaves other room, and nothing else for the quantizer."""
    assert small(tmp_path / "plain", tiny, "ttt=none")["key"] == plain["key"]
    assert small(tmp_path / "fitted", tiny, "ttt=none", "quantizer.fit_bytes=true")["key"] != fitted[1]["key"]
