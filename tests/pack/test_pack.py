"""The packed script: alone, it does what the framework does, to the last bit."""

import ast
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from runs import FEW, composed, run
from submit.standalone import REQUIREMENTS, run_script, site

from golf.data.shard import read_shard, write_shard
from golf.pack.pack import modules, pack, packed_config, program
from golf.pack.self_extracting import TAIL, extracted, self_extracting, wrap
from golf.paths import PACKAGE
from golf.submit.folder import imported
from golf.tracker import jsonl

DATA = str(PACKAGE / "data" / "fixture")
TINY = ("experiment=tiny", *FEW)
DIGESTS = {
    "tokenizer": {"file": "fineweb_8192_bpe.model"},
    "train": [{"file": f"fineweb_train_{i:06d}.bin"} for i in range(128)],
    "val": [{"file": "fineweb_val_000000.bin"}],
}
MADE = {"data": DIGESTS, "attention": "sdpa", "kernels": "plain"}

# Outputs and gradients of both kinds of kernels that a script holds: with constants of a module, helpers and classes.
BOTH_KERNELS = """\
import torch
from golf.kernels import plain, triton
def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).requires_grad_()
y, v, state, mix = draw(1, 5, 4, 16), draw(1, 5, 2, 16), draw(1, 5, 16), draw(2, 16)
weight, factor = draw(6, 8).detach(), torch.eye(8) + draw(8, 8).detach().triu() / 9
for one, other in zip(*[
    [
        *torch.autograd.grad(kernels.exclude_self(y, v).square().sum(), (y, v)),
        *torch.autograd.grad(kernels.residual((state, state), .5, mix, state).normed.sum(), (state, mix)),
        *kernels.gptq_block(weight, weight.std(1), factor, 4),
    ]
    for kernels in (plain, triton)
], strict=True):
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
print("alike")
"""
OWN = """\
from own_help import TWO
from golf.ttt.strategy import NoTTT

class Mine(NoTTT):
    def adapt(self, model, ledger, events, checkpointer):
        model.times = TWO

    def unused(self):
        return 7
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    return site(tmp_path_factory.mktemp("alone") / "site")


@pytest.fixture(scope="module")
def framework(tmp_path_factory) -> tuple[Path, dict]:
    directory = tmp_path_factory.mktemp("framework")
    return directory, run(directory, *FEW)


@pytest.fixture(scope="module")
def script(framework, alone, tmp_path_factory) -> Path:
    """A folder in which the script has run."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "train_gpt.py").write_bytes(pack(composed(*TINY), framework[1]["provenance"]))
    done = run_script(alone, folder, "--data", DATA)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "train_seed1337.log").read_text()
    return folder


def log(path: Path) -> list[tuple[str, dict | str]]:
    pairs = [line.split(" ", 1) for line in path.read_text().splitlines()]
    return [(word, json.loads(text) if text.startswith("{") else text) for word, text in pairs]


def curve(pairs, stage: str) -> list[dict]:
    """Without what a clock says."""
    return [{k: v for k, v in fields.items() if k != "tokens_per_second"} for word, fields in pairs if word == stage]


def source(config) -> dict[str, str]:
    return modules(packed_config(config, MADE))


@pytest.mark.slow
def test_it_reproduces_the_framework_to_the_last_bit(framework, script):
    directory, results = framework
    pairs = log(script / "train_seed1337.log")
    for stage in ("train", "validate", "ttt"):
        lines = [line for line in jsonl.read(directory) if line.get("stage") == stage and line["kind"] == "metrics"]
        told = [{k: v for k, v in line.items() if k not in ("time", "kind", "stage")} for line in lines]
        assert curve(pairs, stage) == curve([(stage, line) for line in told], stage) != []
    assert (script / "seed1337/artifact.golf").read_bytes() == (directory / "artifact.golf").read_bytes()
    word, score = pairs[-1]
    assert word == "score"
    assert score == {key: results[key] for key in score}
    finished = {fields["stage"]: fields["result"] for word, fields in pairs if word == "finished"}
    assert dict(pairs)["data"]["account"] == results["account"]
    for name in ("quantized", "sliding"):
        assert finished["evaluate"][name] == results[name]


@pytest.mark.slow
def test_its_log_begins_with_its_digest_and_its_configuration(script):
    (first, digest), (second, config), *_ = log(script / "train_seed1337.log")
    assert (first, second) == ("sha256", "config")
    assert digest == hashlib.sha256((script / "train_gpt.py").read_bytes()).hexdigest()
    framework = composed(*TINY)
    for group in ("model", "optimizer", "trainer", "quantizer", "codec", "ttt"):
        assert config[group] == framework[group]
    assert config["data"]["seed"] == 1337


@pytest.mark.slow
def test_another_seed_and_the_default_data_directory(script, alone, tmp_path):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    (tmp_path / "data").symlink_to(DATA)
    done = run_script(alone, tmp_path, "--seed", "42")
    assert done.returncode == 0, done.stderr
    expected = run(tmp_path / "framework", *FEW, "seed=42")
    assert log(tmp_path / "train_seed42.log")[-1][1]["val_bpb"] == expected["val_bpb"]


@pytest.mark.slow
def test_an_artifact_alone_where_nobody_reads(script, alone, tmp_path):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    ours, theirs = os.pipe()
    os.close(ours)
    artifact = str(script / "seed1337/artifact.golf")
    with os.fdopen(theirs) as pipe:
        done = run_script(alone, tmp_path, "--data", DATA, "--evaluate", artifact, stdout=pipe.fileno())
    assert (done.returncode, done.stderr) == (0, "")
    assert log(tmp_path / "evaluate.log")[-1] == log(script / "train_seed1337.log")[-1]
    assert not list(tmp_path.glob("seed*/*"))


@pytest.mark.slow
def test_under_torchrun(script, alone, tmp_path):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    done = run_script(alone, tmp_path, "--data", DATA, launcher=torchrun)
    assert done.returncode == 0, done.stderr
    one, two = (log(folder / "train_seed1337.log") for folder in (script, tmp_path))
    assert [word for word, _ in two] == [word for word, _ in one]
    assert dict(two[2:3])["machine"]["ranks"] == 2
    for ours, theirs in zip(curve(two, "train")[:5], curve(one, "train")[:5], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--data data: no tokenizer.model there"),
        (("--data", DATA, "--evaluate", "nowhere"), "--evaluate nowhere: no such file"),
    ],
)
def test_what_is_not_there_is_one_line(script, alone, tmp_path, arguments, told):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    done = run_script(alone, tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"train_gpt.py: error: {told}"
    assert [path.name for path in tmp_path.iterdir()] == ["train_gpt.py"]


@pytest.mark.slow
def test_text_without_bytes_is_refused_before_training(script, alone, tmp_path):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    shutil.copytree(DATA, tmp_path / "data")
    (path,) = (tmp_path / "data").glob("*_val_*")
    tokens = read_shard(path).copy()
    tokens[5] = 3
    write_shard(path, tokens)
    done = run_script(alone, tmp_path)
    assert done.returncode == 2
    told = (
        r"train_gpt\.py: error: data/tokenizer\.model: document 1, from token 0 .*: token 5, '<unk>' after .* is lost"
    )
    assert re.match(told, done.stderr.splitlines()[-1])
    assert "train {" not in done.stdout


@pytest.mark.slow
def test_an_error_does_not_show_the_payload(script, alone, tmp_path):
    (tmp_path / "train_gpt.py").write_bytes((script / "train_gpt.py").read_bytes())
    (tmp_path / "artifact.golf").write_bytes(b"nothing")
    done = run_script(alone, tmp_path, "--data", DATA, "--evaluate", "artifact.golf")
    assert "Traceback" in done.stderr
    assert len(done.stderr) < 3000


@pytest.mark.slow
def test_its_arguments(script, alone):
    done = run_script(alone, script, "--help")
    assert set(re.findall(r"--\w+", done.stdout)) == {"--help", "--seed", "--data", "--evaluate"}


def test_it_reads_no_environment_but_torchruns():
    asked = set()
    for text in source(composed("experiment=record")).values():
        assert "getenv" not in text
        for line in text.splitlines():
            asked |= set(re.findall(r"environ(?:\.\w+\(|\[)'(\w+)'|'(\w+)'in os\.environ", line))
        assert text.count("environ") == len(re.findall(r"environ(?:\.\w+\(|\[)'\w+'|'\w+'in os\.environ", text))
    # The last one is set, for cuBLAS, and not read.
    names = {"RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "CUBLAS_WORKSPACE_CONFIG"}
    assert {name for pair in asked for name in pair if name} == names


def test_the_records_script_has_at_most_25500_bytes():
    assert len(pack(composed("experiment=record"), MADE)) <= 25_500


def test_shards_are_found_by_the_runs_own_patterns():
    config = composed("experiment=record", "data.train_glob=*_train_*.bin")
    digests = {**DIGESTS, "train": [{"file": "novels_train_0.bin"}, {"file": "web_train_0.bin"}]}
    assert packed_config(config, MADE | {"data": digests})["data"]["train_glob"] == "*_train_*.bin"


def test_it_is_one_file_of_compressed_text():
    script = pack(composed("experiment=record"), MADE)
    assert "class GPT" in extracted(script)
    assert script.count(b"\n") == 5
    assert script.decode("latin-1").encode("latin-1") == script


@pytest.mark.slow
@given(st.text())
@example("\0\n\r'\\")
def test_any_program_is_extracted_as_it_was(text):
    assert extracted(self_extracting(text)) == text


@given(st.binary())
@example(bytes(range(256)))
def test_a_literal_holds_any_bytes(payload):
    names = {}
    exec(compile(wrap(payload).removesuffix(TAIL) + b"'", "script", "exec"), {"__file__": "x"}, names)
    assert names["P"].encode("latin-1") == payload


@pytest.mark.slow
def test_it_holds_only_what_the_run_needs():
    record = source(composed("experiment=record"))
    assert not any(name.startswith(("golf.app", "golf.cache", "golf.tracker", "golf.pipeline")) for name in record)
    assert not any("triton" in name or "import triton" in text for name, text in record.items())
    for change, gone in {
        "ttt=none": {"golf.ttt.score_first", "golf.ttt.hash_embed"},
        "quantizer=rtn": {"golf.quantizer.gptq", "golf.quantizer.hessian", "golf.kernels.gptq"},
        "optimizer=adamw": {"golf.optim.muon", "golf.optim.muon_adamw"},
        "codec=lzma": {"golf.codec.brotli"},
        "codec=range": {"golf.codec.brotli"},
    }.items():
        changed = source(composed("experiment=record", change))
        assert record.keys() - changed.keys() >= gone
    text = "\n".join(record.values())
    for word in ("hydra", "omegaconf", "wandb", "constriction", "did you mean", "must be at least", '"""'):
        assert word not in text


@pytest.mark.slow
def test_kernels_of_triton_travel_along(tmp_path):
    pytest.importorskip("triton")
    packed = packed_config(composed("experiment=record", "compute=auto"), MADE | {"kernels": "triton"})
    start, _, _ = program(modules(packed), packed).rpartition("from golf.pack.script")
    (tmp_path / "train_gpt.py").write_text(start + BOTH_KERNELS)
    done = run_script(site(tmp_path / "site", (*REQUIREMENTS, "triton")), tmp_path, TRITON_INTERPRET="1")
    assert done.stdout == "alike\n", done.stderr
    assert "COLS:tl.constexpr" in modules(packed)["golf.kernels.gptq_triton"]  # what the interpreter does not ask for


def test_a_class_of_ones_own_travels_along(tmp_path, monkeypatch):
    (tmp_path / "own_ttt.py").write_text(OWN)
    (tmp_path / "own_help.py").write_text("TWO = 2\nTHREE = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = composed("experiment=record", "ttt=none")
    found = source({**config, "ttt": {"_target_": "own_ttt.Mine"}})
    assert "unused" not in found["own_ttt"]
    assert found["own_help"] == "TWO=2"


def test_what_modules_import_is_found_in_their_text():
    """No syntax tree is made of them, which may be somebody else's."""
    for one in modules(packed_config(composed("experiment=record", "compute=auto"), MADE)).values():
        nodes = [node for node in ast.walk(ast.parse(one)) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        named += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
        assert imported(one) == {name.partition(".")[0] for name in named}
