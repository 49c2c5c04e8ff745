"""The pipeline on the tiny experiment: what a run leaves, stages alone, mistakes (toggles: tests/toggles)."""

import json
import math
import shutil
from pathlib import Path

import pytest
import runs
import torch
import yaml
from runs import FEW, composed

from golf import paths, pipeline
from golf.errors import Diverged, UserError
from golf.io.artifact import Quantized, read_artifact, write_artifact
from golf.run.results import METRICS
from golf.tracker import jsonl
from golf.utils.nested import lookup

pytestmark = pytest.mark.slow

SCORES = ("prequant", "quantized", "sliding", "ttt")


def run(directory: Path, *overrides: str, overridden: frozenset[str] = frozenset()) -> dict:
    """On few tokens, unless others are asked for."""
    tokens, chunks = FEW
    few = [tokens] if "ttt=none" in overrides else [tokens, chunks]
    return runs.run(directory, *few, *overrides, overridden=overridden)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> tuple[Path, dict]:
    directory = tmp_path_factory.mktemp("base")
    return directory, run(directory)


def test_what_a_run_leaves(base):
    directory, results = base
    names = {path.name for path in directory.iterdir()}
    files = {"run.json", "config.yaml", "checkpoint.pt", "artifact.golf", "metrics.jsonl", "results.json", "job.log"}
    records = {"train.json", "quantize.json", "evaluate.json", "ttt.json"}
    pictures = {"learning_curve.png", "ttt_curve.png", "bytes_per_tensor.png"}
    assert names == files | records | pictures
    assert json.loads((directory / "results.json").read_text()) == results
    assert yaml.safe_load((directory / "config.yaml").read_text())["model"]["vocab_size"] == 320


def test_results_agree_with_each_other(base):
    directory, results = base
    assert (results["val_loss"], results["val_bpb"]) == (results["ttt"]["val_loss"], results["ttt"]["val_bpb"])
    tokens_per_nat = results["unigram"]["val_bpb"] / results["unigram"]["val_loss"]
    for name in SCORES:  # one stream: the same bytes for every score
        assert results[name]["val_bpb"] / results[name]["val_loss"] == pytest.approx(tokens_per_nat)
        assert 0 < results[name]["val_loss"] < math.log(320) + 0.5
    account = results["account"]
    assert tokens_per_nat * math.log(2) == pytest.approx((account["tokens"] - 1) / account["text_bytes"])
    assert results["artifact_bytes"] == (directory / "artifact.golf").stat().st_size
    assert results["total_bytes"] == results["artifact_bytes"] + results["code_bytes"]
    assert results["train"]["tokens"] == results["train"]["steps"] * 512
    assert results["seed"] == 1337
    assert results["choices"]["quantizer"] == "gptq"
    assert {"train", "val", "tokenizer"} <= set(results["provenance"]["data"])


def numbers(part: dict, prefix: str = "") -> dict[str, float]:
    """The numbers in nested mappings, by their dotted names."""
    found = {f"{prefix}{key}": value for key, value in part.items() if type(value) in (int, float)}
    for key, value in part.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}{key}.")
    return found


def test_metrics_are_the_numbers_that_come_out(base):
    _, results = base
    given = {"account", "seed", "choices", "stages", "provenance"}
    found = numbers({key: value for key, value in results.items() if key not in given})
    assert {name: lookup(results, name) for name in METRICS} == found


def test_curves(base):
    directory, results = base
    lines = jsonl.read(directory)
    steps = [line["step"] for line in lines if line.get("stage") == "train" and line["kind"] == "metrics"]
    assert steps == list(range(1, results["train"]["steps"] + 1))
    running = [line["val_bpb"] for line in lines if line.get("stage") == "ttt" and line["kind"] == "metrics"]
    assert running[-1] == results["val_bpb"]
    events = [(line["name"], line.get("stage")) for line in lines if line["kind"] == "event"]
    for stage in ("train", "quantize", "evaluate"):
        assert events.index(("stage_started", stage)) < events.index(("stage_finished", stage))
    assert ("recurrence_on", None) in events


def test_stage_records_name_what_they_read_and_wrote(base):
    directory, _ = base
    train, quantize, evaluate = (
        json.loads((directory / f"{s}.json").read_text()) for s in ("train", "quantize", "evaluate")
    )
    assert quantize["inputs"]["checkpoint.pt"]["sha256"] == train["output"]["checkpoint.pt"]
    assert evaluate["inputs"]["artifact.golf"]["sha256"] == quantize["output"]["artifact.golf"]
    assert set(evaluate["config"]) == {"data", "model", "codec", "evaluation"}


@pytest.mark.parametrize("name", ["", "artifact.golf"], ids=["run_directory", "artifact_file"])
def test_evaluate_alone(base, tmp_path, name):
    directory, results = base
    again = run(tmp_path, "stages=[evaluate]", f"input={directory / name}")
    for score in ("quantized", "sliding", "ttt"):
        assert again[score] == results[score]
    assert again["artifact_bytes"] == results["artifact_bytes"]
    assert (again["prequant"] is None) == bool(name)  # only the directory knows what training saw
    assert not (tmp_path / "checkpoint.pt").exists()


def test_ttt_alone_joins_the_evaluation_of_its_input(base, tmp_path):
    directory, results = base
    alone = ("stages=[ttt]", f"input={directory}")
    again = run(tmp_path / "same", *alone)
    assert not (tmp_path / "same" / "evaluate.json").exists()
    scores = ("val_bpb", "prequant", "quantized", "sliding", "ttt", "artifact_bytes")
    assert {name: again[name] for name in scores} == {name: results[name] for name in scores}
    assert list(again["stages"]) == ["train", "quantize", "evaluate", "ttt"]
    assert set(again["stage_seconds"]) == {"data", "ttt"}
    assert run(tmp_path / "lr", *alone, "ttt.lr=0.001")["sliding"] == results["sliding"]
    for name, other in (("stride", "evaluation.stride=32"), ("tokens", "data.val_tokens=3000")):
        again = run(tmp_path / name, *alone, other)
        assert again["sliding"] is None
        assert again["val_bpb"] == again["ttt"]["val_bpb"] != results["val_bpb"]


def test_ttt_alone_in_the_directory_of_its_input(base, tmp_path):
    directory, results = base
    own = shutil.copytree(directory, tmp_path / "own")
    with pytest.raises(UserError, match=r'holds another run \(stages is \["train", "quantize", "evaluate"\] there'):
        run(own, "stages=[ttt]")
    again = run(own, "stages=[ttt]", "ttt.epochs=0", "overwrite=true")
    assert (again["sliding"], again["quantized"]) == (results["sliding"], results["quantized"])
    assert again["ttt"]["val_loss"] == pytest.approx(results["sliding"]["val_loss"], rel=1e-6)


def test_quantize_alone_gives_the_same_artifact(base, tmp_path):
    directory, _ = base
    run(tmp_path, "stages=[quantize]", f"input={directory}")
    assert (tmp_path / "artifact.golf").read_bytes() == (directory / "artifact.golf").read_bytes()


def test_training_alone_ends_with_the_score_before_quantization(tmp_path):
    results = run(tmp_path, "stages=[train]", "trainer.steps=1")
    assert results["val_bpb"] == results["prequant"]["val_bpb"]
    assert results["artifact_bytes"] is results["total_bytes"] is results["ttt"] is None


def test_the_model_comes_from_the_input(base, tmp_path):
    directory, results = base
    alone = ["stages=[evaluate]", f"input={directory / 'artifact.golf'}"]
    again = run(tmp_path / "a", *alone, "model=small", "data=fixture")
    assert again["ttt"] == results["ttt"]
    assert yaml.safe_load((tmp_path / "a" / "config.yaml").read_text())["model"]["model_dim"] == 32
    capped = run(tmp_path / "b", *alone, "model.logit_softcap=5.0", overridden=frozenset({"model.logit_softcap"}))
    assert capped["quantized"] != results["quantized"]
    assert yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())["model"]["logit_softcap"] == 5.0
    problem = r"model\.num_loops=0 does not fit .*: skip_gates is \(5, 32\) there and \(3, 32\) in this model"
    with pytest.raises(UserError, match=problem):
        run(tmp_path / "c", *alone, "model.num_loops=0", overridden=frozenset({"model.num_loops"}))
    with pytest.raises(UserError, match="does not fit"):
        run(tmp_path / "c", *alone, "model=small", overridden=frozenset({"model"}))


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["stages=[ttt]"], "ttt needs artifact.golf, which the stage quantize makes"),
        (["stages=[evaluate]"], "evaluate needs artifact.golf, which the stage quantize makes"),
        (["stages=[quantize,evaluate]"], "quantize needs checkpoint.pt, which the stage train makes"),
        (["stages=[train,evaluate]"], "evaluate needs artifact.golf, which the stage quantize makes"),
        (["stages=[evaluate]", "input=nowhere"], "input=nowhere does not exist"),
        (["stages=[evaluate]", "input="], "input= is empty"),
        (["input=tests"], r"input=tests: train reads none"),
        (["optimizer.momentum=1.0"], "optimizer.momentum=1.0"),
        (["ttt.momentum=1.0"], "ttt.momentum=1.0"),
        (["model.vocab_size=321"], "model.vocab_size"),
        (["model.seq_len=16384"], "16384 [+] 1"),
        (["trainer.batch_tokens=100"], "trainer.batch_tokens=100 must be a multiple of"),
        (["trainer.steps=0"], "trainer.steps=0"),
        (["trainer.ema=1.0"], "trainer.ema=1.0"),
        (["trainer.budget_seconds=1", "trainer.reserve_seconds=1"], "trainer.reserve_seconds"),
        (["model.num_heads=3"], "model.num_heads=3"),
        (["model.num_kv_heads=3"], "model.num_kv_heads=3"),
        (["model.rope_dims=5"], "model.rope_dims=5"),
        (["model.loop_end=6"], "model.loop_end=6"),
        (["evaluation.stride=129"], "evaluation.stride=129"),
        (["ttt.chunk_tokens=64"], "ttt.chunk_tokens=64"),
        (["ttt.freeze_blocks=7"], "ttt.freeze_blocks=7"),
        (["ttt.parameters=recurrent", "model.num_loops=0"], "ttt.parameters=recurrent"),
        (["codec=brotli", "codec.quality=12"], "quality"),
        (["stages=[]"], r"stages=\[\]"),
        (["stages=[train,train]"], "names a stage twice"),
        (["quantizer.calibration_tokens=100"], "calibration_tokens=100 is below model.seq_len=128"),
        (["optimizer.matrix_decay=-1"], "a decay of -1 is negative"),
        (["data=shards", "data.path=nowhere", "data.tokenizer=nowhere"], "nowhere"),
        (["compute.device=cuda"], "compute.device=cuda"),
        (["compute.threads=0"], "compute.threads=0"),
        (["trainer.batch_tokens=-256"], "trainer.batch_tokens=-256"),
        (["trainer.micro_batches=0"], "trainer.micro_batches=0"),
        (["trainer.log_every=0"], "trainer.log_every=0"),
        (["trainer.warmdown=1.5"], "trainer.warmdown=1.5"),
        (["optimizer.matrix_lr=-1", "optimizer=adamw"], "learning rate of -1"),
        (["optimizer.betas=[0.9]"], r"optimizer.betas=\[0.9\]"),
        (["optimizer.momentum_steps=0"], "optimizer.momentum_steps=0"),
        (["quantizer.matrix_bits=1"], "quantizer.matrix_bits=1"),
        (["quantizer.embed_bits=9"], "quantizer.embed_bits=9"),
        (["quantizer.calibration_batches=0"], "quantizer.calibration_batches=0"),
        (["quantizer.block_size=0"], "quantizer.block_size=0"),
        (["evaluation.batch_tokens=0"], "evaluation.batch_tokens=0"),
        (["evaluation.stride=0"], "evaluation.stride=0"),
        (["ttt.hash_buckets=0"], "ttt.hash_buckets=0"),
        (["ttt.batch_seqs=0"], "ttt.batch_seqs=0"),
        (["ttt.epochs=-1"], "ttt.epochs=-1"),
        (["data.val_tokens=-5"], "data.val_tokens=-5"),
        (["seed=-1"], "^seed=-1 must be from 0"),
        (["seed=100000000000000000000000"], "^seed=100000000000000000000000 must be from 0"),
        (["data.seed=-1"], "data.seed=-1 must be from 0"),
        (["data.seed=9223372036854775808"], "data.seed=9223372036854775808 must be from 0"),
        (["model.seq_len=0"], "model.seq_len=0"),
        (["trainer.validate_every=0"], "trainer.validate_every=0"),
        (["trainer.recurrence_start=-0.1"], "trainer.recurrence_start=-0.1"),
        (["trainer.reserve_seconds=-1"], "trainer.reserve_seconds=-1"),
        (["trainer.budget_seconds=0"], "trainer.budget_seconds=0"),
        (["quantizer.min_elements=-1"], "quantizer.min_elements=-1"),
        (["model.xsa_last_n=-1"], "model.xsa_last_n=-1"),
        (["model.xsa_last_n=7"], "model.xsa_last_n=7"),
        (["model.parallel_start_layer=-1"], "model.parallel_start_layer=-1"),
        (["model.parallel_start_layer=7"], "model.parallel_start_layer=7"),
        (["model.logit_softcap=0"], "model.logit_softcap=0"),
        (["model.rope_base=1"], "model.rope_base=1"),
        (["model.embed_init_std=0"], "model.embed_init_std=0"),
        (["ttt.parameters=recurrent", "ttt.freeze_blocks=1"], "ttt.freeze_blocks=1"),
        (["data.val_tokens=7"], "7 validation tokens"),
        (["model.num_layers=0"], "model.num_layers=0"),
        (["model.mlp_mult=0.0"], "model.mlp_mult=0.0"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes_are_seen_before_anything_is_written(tmp_path, overrides, problem):
    if overrides == ["compute.device=cuda"] and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match=problem) as caught:
        run(tmp_path, *overrides)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_quantizers(base, tmp_path):
    directory, _ = base
    gptq = read_artifact(directory / "artifact.golf").state
    run(tmp_path / "rtn", "quantizer=rtn", "stages=[quantize]", f"input={directory}")
    rtn = read_artifact(tmp_path / "rtn" / "artifact.golf").state
    name = "blocks.0.mlp.fc.weight"
    assert torch.equal(gptq[name].scale, rtn[name].scale)
    assert not torch.equal(gptq[name].codes, rtn[name].codes)
    run(tmp_path / "none", "quantizer=none", "stages=[quantize]", f"input={directory}")
    none = read_artifact(tmp_path / "none" / "artifact.golf").state
    assert not any(isinstance(tensor, Quantized) for tensor in none.values())
    checkpoint = torch.load(directory / "checkpoint.pt", weights_only=True)
    assert torch.equal(none[name], checkpoint["ema"][name].half())


def test_ttt_none_leaves_the_sliding_score(base, tmp_path):
    directory, results = base
    again = run(tmp_path, "ttt=none", "stages=[evaluate]", f"input={directory}")
    assert again["ttt"] is None
    assert again["val_bpb"] == again["sliding"]["val_bpb"] == results["sliding"]["val_bpb"]


def test_ttt_without_epochs_is_the_sliding_score(base, tmp_path):
    directory, results = base
    again = run(tmp_path, "ttt.epochs=0", "stages=[evaluate]", f"input={directory}")
    assert again["ttt"]["val_loss"] == pytest.approx(results["sliding"]["val_loss"], rel=1e-6)


@pytest.mark.parametrize("value", ["ttt.hash_lr_scale=1", "ttt.freeze_blocks=3", "ttt.lr=0.001"])
def test_values_that_move_the_ttt_score(base, tmp_path, value):
    directory, results = base
    again = run(tmp_path, value, "stages=[evaluate]", f"input={directory}")
    assert again["quantized"] == results["quantized"]
    assert again["ttt"] != results["ttt"]


@pytest.mark.parametrize(
    "value", ["model.embedding_dim=16", "trainer.recurrence_start=1.0", "trainer.warmdown=0.0", "seed=1"]
)
def test_values_that_move_the_score(base, tmp_path, value):
    _, results = base
    again = run(tmp_path, value, "stages=[train]")
    assert again["prequant"] != results["prequant"]


def test_the_same_run_twice_is_the_same(base, tmp_path):
    directory, results = base
    again = run(tmp_path)
    assert {name: again[name] for name in SCORES} == {name: results[name] for name in SCORES}
    assert (tmp_path / "artifact.golf").read_bytes() == (directory / "artifact.golf").read_bytes()


def test_a_run_in_the_directory_of_a_longer_one(tmp_path):
    run(tmp_path, "stages=[train]", "trainer.steps=6", "trainer.validate_every=2")
    run(tmp_path, "stages=[train]", "trainer.steps=3", "trainer.log_every=2", "overwrite=true")
    said = [(line["stage"], line["step"]) for line in jsonl.read_metrics(tmp_path)]
    assert said == [("train", 1), ("train", 2), ("train", 3), ("validate", 3)]
    assert len(jsonl.read(tmp_path)) > len(said)


def test_a_time_budget_ends_training(tmp_path):
    results = run(tmp_path, "stages=[train]", "trainer.steps=100000", "trainer.budget_seconds=1")
    assert 0 < results["train"]["steps"] < 100000
    lines = jsonl.read(tmp_path)
    scales = [line["lr_scale"] for line in lines if line.get("stage") == "train" and line["kind"] == "metrics"]
    assert scales == sorted(scales, reverse=True)


@pytest.mark.parametrize("content", [b"", b"junk", None], ids=["empty", "junk", "another_file_of_torch"])
def test_a_damaged_checkpoint(tmp_path, content):
    (tmp_path / "old").mkdir()
    path = tmp_path / "old" / "checkpoint.pt"
    if content is None:
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"checkpoint\.pt: (cannot be read as a|is not a) checkpoint"):
        run(tmp_path / "new", "stages=[quantize]", f"input={tmp_path / 'old'}")


def test_an_artifact_of_another_tokenizer(base, tmp_path):
    directory, _ = base
    fixture = paths.PACKAGE / "data" / "fixture"
    model = bytearray((next(fixture.glob("*.model"))).read_bytes())
    for file in fixture.glob("*.bin"):
        (tmp_path / file.name).symlink_to(file)
    at = model.index(b"the")  # one piece spelled otherwise: the same size, another tokenizer
    model[at : at + 3] = b"thE"
    (tmp_path / "other.model").write_bytes(model)
    data = ["data=shards", f"data.path={tmp_path}", f"data.tokenizer={tmp_path / 'other.model'}"]
    with pytest.raises(UserError, match="another tokenizer"):
        run(tmp_path / "run", *data, "stages=[evaluate]", f"input={directory}")


def test_results_are_of_what_ran_and_of_what_it_read(base, tmp_path):
    directory, results = base
    quantized = run(tmp_path / "q", "quantizer=rtn", "stages=[quantize]", f"input={directory}")
    assert quantized["artifact_bytes"] == (tmp_path / "q" / "artifact.golf").stat().st_size
    assert quantized["ttt"] is quantized["eval_seconds"] is None
    assert quantized["prequant"] == results["prequant"]
    trained = run(tmp_path / "t", "trainer.steps=1", "seed=5", "stages=[train]")
    assert trained["artifact_bytes"] is trained["ttt"] is None
    assert trained["seed"] == 5
    evaluated = run(tmp_path / "e", "seed=99", "stages=[evaluate]", f"input={directory}")
    assert evaluated["seed"] == results["seed"] == 1337


def test_choices_are_those_that_made_the_score(base, tmp_path):
    directory, results = base
    again = run(
        tmp_path / "e",
        "optimizer=adamw",
        "quantizer=rtn",
        "ttt=none",
        "model=small",
        "evaluation=record",
        "stages=[evaluate]",
        f"input={directory}",
    )
    assert again["choices"] == results["choices"] | {"ttt": "none", "evaluation": "record"}
    alone = run(tmp_path / "a", "stages=[evaluate]", f"input={directory / 'artifact.golf'}")
    known = {
        "compute",
        "data",
        "codec",
        "evaluation",
        "ttt",
        "tracker",
        "launch",
        "sweep",
        "cache",
        "resume",
        "experiment",
    }
    assert {group for group, option in alone["choices"].items() if option is not None} == known


def test_stages_are_identified_by_what_they_depend_on(base, tmp_path):
    directory, results = base
    assert list(results["stages"]) == ["train", "quantize", "evaluate", "ttt"]
    again = run(tmp_path, "ttt=none", "stages=[evaluate]", f"input={directory}")
    for stage in ("train", "quantize"):
        assert again["stages"][stage] == results["stages"][stage]
    ours, theirs = ([each["stages"][stage] for stage in ("evaluate", "ttt")] for each in (again, results))
    assert [a["config_sha256"] == b["config_sha256"] for a, b in zip(ours, theirs, strict=True)] == [True, False]
    assert [a["key"] == b["key"] for a, b in zip(ours, theirs, strict=True)] == [True, False]
    assert [a["code_sha256"] == b["code_sha256"] for a, b in zip(ours, theirs, strict=True)] == [True, True]


def test_calibration_reads_what_the_training_read(tmp_path):
    whole = run(tmp_path / "whole", "seed=42", "trainer.steps=1")
    alone = run(tmp_path / "alone", "stages=[quantize,evaluate]", f"input={tmp_path / 'whole'}")
    assert (tmp_path / "alone" / "artifact.golf").read_bytes() == (tmp_path / "whole" / "artifact.golf").read_bytes()
    assert (alone["seed"], alone["ttt"]) == (42, whole["ttt"])
    other = ["stages=[quantize]", f"input={tmp_path / 'whole'}", "data.seed=7"]
    run(tmp_path / "other", *other, overridden=frozenset({"data.seed"}))
    assert (tmp_path / "other" / "artifact.golf").read_bytes() != (tmp_path / "whole" / "artifact.golf").read_bytes()


def test_scores_of_other_tokens_do_not_stand_side_by_side(base, tmp_path):
    more = run(tmp_path, "stages=[evaluate]", f"input={base[0]}", "data.val_tokens=3000")
    assert more["prequant"] is None
    assert more["sliding"]["val_loss"] != base[1]["sliding"]["val_loss"]


def test_the_input_comes_before_what_lies_there(base, tmp_path):
    run(tmp_path, "quantizer=rtn", "trainer.steps=1")
    again = run(tmp_path, "stages=[evaluate]", f"input={base[0]}", "overwrite=true")
    assert again["ttt"] == base[1]["ttt"]
    assert json.loads((tmp_path / "ttt.json").read_text())["inputs"]["artifact.golf"]["path"] == str(
        base[0] / "artifact.golf"
    )
    assert again["seed"] == base[1]["seed"]


def test_a_checkpoint_is_no_artifact(base, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(UserError, match=r"checkpoint\.pt: magic: not an artifact"):
        run(tmp_path / "new", "stages=[evaluate]", f"input={base[0] / 'checkpoint.pt'}")
    assert list((tmp_path / "new").iterdir()) == []


def test_threads_are_those_of_this_run(tmp_path):
    before = torch.get_num_threads()
    run(tmp_path / "two", "stages=[train]", "trainer.steps=1", "compute.threads=2")
    assert torch.get_num_threads() == 2
    run(tmp_path / "all", "stages=[train]", "trainer.steps=1", "compute.threads=null")
    assert torch.get_num_threads() == before


def test_raw_weights_and_their_average_have_a_curve_each(tmp_path):
    results = run(tmp_path, "stages=[train]", "trainer.validate_every=2")
    points = [line for line in jsonl.read(tmp_path) if line.get("stage") == "validate"]
    assert [line["step"] for line in points] == [2, 4, 6]
    assert ["ema_val_loss" in line for line in points] == [False, False, True]
    assert points[-1]["ema_val_loss"] == results["prequant"]["val_loss"] != points[-1]["val_loss"]
    assert points[0]["val_loss"] > points[1]["val_loss"] > points[2]["val_loss"]


def test_what_happened_before_the_job_is_in_its_metrics(tmp_path):
    data = ["data=stdlib", f"data.cache_dir={tmp_path / 'cache'}", "data.vocab_size=320", "data.corpus_bytes=300000"]
    for name, times in (("made", 1), ("cached", 0)):
        run(tmp_path / name, *data, "data.val_tokens=1000", "stages=[train]", "trainer.steps=1")
        events = [line["name"] for line in jsonl.read(tmp_path / name) if line["kind"] == "event"]
        assert events.count("corpus_built") == times


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "train"}'])
def test_a_damaged_record(base, tmp_path, content):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "artifact.golf").write_bytes((base[0] / "artifact.golf").read_bytes())
    (tmp_path / "old" / "train.json").write_text(content)
    with pytest.raises(UserError, match=r"train\.json: .*remove it to continue without it"):
        run(tmp_path / "new", "stages=[evaluate]", f"input={tmp_path / 'old'}")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"depth": 3}, r"artifact\.golf: model\.depth: no such key"), ({"seq_len": "x"}, r"model\.seq_len: expected int")],
)
def test_an_artifact_with_another_model(base, tmp_path, change, problem):
    artifact = read_artifact(base[0] / "artifact.golf")
    path = tmp_path / "artifact.golf"
    codec = {"_target_": "golf.codec.none.NoCodec"}
    model = artifact.model | change
    write_artifact(path, artifact.state, model=model, tokenizer_sha256=artifact.tokenizer_sha256, codec=codec)
    with pytest.raises(UserError, match=problem):
        run(tmp_path / "new", "stages=[evaluate]", f"input={path}")


def test_an_unwritable_directory(tmp_path):
    with pytest.raises(UserError, match=r"/proc/\.lock: cannot be written .*; give another directory"):
        pipeline.run(composed("experiment=tiny"), Path("/proc"), {})


def test_a_score_that_is_not_finite(base, tmp_path):
    with pytest.raises(Diverged, match=r"TTT chunk \d+: the weight \S+ after it is not finite; lower ttt\.lr"):
        run(tmp_path, "ttt.lr=1e9", "stages=[evaluate]", f"input={base[0]}")


def test_by_what_kernels_a_model_is_computed_is_the_runs_to_say(tmp_path):
    run(tmp_path / "a", "compute.kernels=plain", "stages=[train]", "trainer.steps=1")
    results = run(tmp_path / "b", "stages=[quantize]", f"input={tmp_path / 'a'}")
    assert yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())["compute"]["kernels"] == "auto"
    assert (results["provenance"]["kernels"] == "plain") is not torch.cuda.is_available()
