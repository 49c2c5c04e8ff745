"""The report of real runs: two variants of TTT, two seeds, and what may be wrong with a comparison."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest
import yaml
from runs import FEW, composed, run
from wandb_reader import runs as wandb_runs

from golf.errors import UserError
from golf.report.baseline import read_baseline
from golf.report.compare import report
from golf.report.flags import flags
from golf.report.runs import read_runs
from golf.report.variants import variants

pytestmark = pytest.mark.slow

SEEDS = (1337, 42)
TOKENS, CHUNKS = FEW
LATE = {"state": "failed", "overrides": [], "started": 1.0, "seconds": 1.0, "objectives": None, "error": "it was late"}
NO_TTT, TTT = "ttt=none", "ttt=score_first"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """TTT and none over two seeds, as stages alone on one training for each seed."""
    root = tmp_path_factory.mktemp("report")
    for seed in SEEDS:
        base = root / "trained" / str(seed)
        run(base, f"seed={seed}", "stages=[train,quantize]", "trainer.steps=4", TOKENS)
        for option in ("none", "score_first"):
            directory = root / "sweep" / f"{option}-{seed}"
            # What else the command line says of the training is not what trained.
            training = ("trainer=short", "trainer.steps=1")
            chunks = [] if option == "none" else [CHUNKS]
            run(directory, f"ttt={option}", "stages=[evaluate]", f"input={base}", TOKENS, *chunks, *training)
    return root / "sweep"


@pytest.fixture
def copy(sweep, tmp_path) -> Path:
    shutil.copytree(sweep, tmp_path / "copy")
    return tmp_path / "copy"


def change(directory: Path, edit) -> None:
    path = directory / "results.json"
    results = json.loads(path.read_text())
    edit(results)
    path.write_text(json.dumps(results))


def written(directories, output: Path, capsys, **arguments) -> tuple[str, str]:
    """The page and what was printed, with its white space made one."""
    asked = {"reference": None, "metric": "val_bpb", "baseline": None, "wandb": False} | arguments
    report(directories, output=output, **asked)
    return (output / "report.html").read_text(), " ".join(capsys.readouterr().out.split())


def scores(sweep: Path, option: str) -> list[float]:
    found = [json.loads((sweep / f"{option}-{seed}" / "results.json").read_text()) for seed in SEEDS]
    return [results["val_bpb"] for results in found]


def test_variants_are_what_made_the_score(sweep):
    runs, without = read_runs([sweep])
    found = variants(runs)
    assert {name: sorted(run.seed for run in same) for name, same in found.items()} == {
        NO_TTT: sorted(SEEDS),
        TTT: sorted(SEEDS),
    }
    assert without == {}
    assert all(run.config["trainer"]["steps"] == 4 for run in runs)  # the input's, not the command line's


def test_the_tables_hold_the_runs_figures(sweep, tmp_path, capsys):
    page, printed = written([sweep], tmp_path, capsys, reference=NO_TTT)
    none, ttt = scores(sweep, "none"), scores(sweep, "score_first")
    mean = sum(ttt) / 2
    std = abs(ttt[0] - ttt[1]) / 2**0.5
    gain = mean - sum(none) / 2
    for text in (page, printed):
        assert f"{mean:.5f} ± {std:.5f}" in text
        assert f"{gain:+.5f}" in text
    for score in none + ttt:
        assert f"{score:.5f}" in page
    artifact = json.loads((sweep / "none-42" / "results.json").read_text())["artifact_bytes"]
    assert f"{artifact:,}" in page
    assert "tok_emb.weight" in page


def test_the_page_stands_alone(sweep, tmp_path, capsys):
    page, _ = written([sweep], tmp_path, capsys)
    assert not re.search(r"https?:|<script|<link", page)
    names = {path.name for path in tmp_path.glob("*.png")}
    assert names == {"scores.png", "differences.png", "ttt.png", "bytes.png"}  # these runs trained nothing
    assert page.count('src="data:image/png;base64,iVBOR') == page.count("src=") == len(names)


def test_curves_have_a_band_and_each_training_is_drawn_once(sweep, tmp_path, capsys):
    for seed in SEEDS:  # whole runs
        run(tmp_path / "whole" / str(seed), f"seed={seed}", *FEW, "trainer.steps=2", "ttt.epochs=0")
    written([tmp_path / "whole"], tmp_path / "out", capsys)
    assert (tmp_path / "out" / "train.png").stat().st_size > 0
    assert not (tmp_path / "out" / "differences.png").exists()  # one variant


def test_the_baseline(sweep, tmp_path, capsys):
    none = scores(sweep, "none")
    old = {
        "name": "mine",
        "bytes_per_token": 2.0,
        "tokenizer_sha256": None,
        "val_targets": None,
        "seeds": {str(seed): {"val_bpb": score + 1} for seed, score in zip(SEEDS, none, strict=True)},
    }
    (tmp_path / "old.json").write_text(json.dumps(old))
    page, _ = written([sweep], tmp_path, capsys, baseline=str(tmp_path / "old.json"))
    assert "more than 0.00361 bits per byte" in " ".join(page.split())  # 0.005/(2 ln 2)
    assert "+1.00000" in page
    assert page.count("<td>yes</td>") == 2
    assert "not scored on the same tokens" in page
    page, _ = written([sweep], tmp_path, capsys, baseline="record")
    assert page.count("<td>no</td>") == 2
    assert "not scored on the same tokens" in page


def test_a_baseline_that_was_scored_on_the_same_tokens(sweep):
    (one, *_), _ = read_runs([sweep])
    fields = {"name": "", "bytes_per_token": 1.0, "seeds": {"1": {"val_bpb": 1.0}}}
    path = sweep.parent / "same.json"
    same = {"tokenizer_sha256": one.scored_on["tokenizer"], "val_targets": 1024}
    path.write_text(json.dumps(fields | same))
    assert flags({"": [one]}, {}, read_baseline(path)) == flags({"": [one]}, {}, None)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"name": ""}', '{"name": "", "bytes_per_token": 0, "tokenizer_sha256": null, '
    '"val_targets": null, "seeds": {"1": {"val_bpb": 1}}}']
)  # fmt: skip
def test_no_baseline(sweep, tmp_path, content):
    (tmp_path / "old.json").write_text(content)
    with pytest.raises(UserError, match=r"old\.json: "):
        report(
            [sweep], reference=None, metric="val_bpb", baseline=str(tmp_path / "old.json"), output=tmp_path, wandb=False
        )


def test_other_tokens_are_compared_in_bits_per_byte_alone(copy, tmp_path, capsys):
    page, _ = written([copy], tmp_path, capsys, metric="val_loss")
    assert "val_loss" in page

    def retokenize(results):
        results["provenance"]["data"]["tokenizer"]["sha256"] = "0" * 64

    change(copy / "none-42", retokenize)
    page, _ = written([copy], tmp_path, capsys)
    assert "<th>val_loss</th>" not in page
    assert "tokenizers differ, so nats per token mean different things" in page
    with pytest.raises(UserError, match="tokenizers differ, so nats per token mean different things"):
        report([copy], reference=None, metric="val_loss", baseline=None, output=tmp_path, wandb=False)


def test_what_differs_and_should_not_is_flagged(copy, sweep):
    def told(directory: Path) -> list[str]:
        runs, without = read_runs([directory])
        return flags(variants(runs), without, None)

    usual = told(sweep)
    assert not any("differs" in line for line in usual)

    def recode(results):
        results["stages"]["ttt"]["code_sha256"] = "f" * 64
        results["provenance"]["data"]["val_tokens"] = 5

    change(copy / "score_first-42", recode)
    lines = [line for line in told(copy) if line not in usual]
    assert len(lines) == 2
    assert lines[0].startswith("the scored data differs: in 3")
    assert lines[1].startswith("ttt: the code differs: ")
    assert "ffffffffffff in 1 (score_first-42 for one)" in lines[1]


def test_runs_without_a_score_are_named(copy, capsys, tmp_path):
    (copy / "none-42" / "results.json").unlink()
    (copy / "none-42" / "status.json").write_text(json.dumps(LATE))
    (copy / "none-1337" / "results.json").write_text("{")
    _, printed = written([copy], tmp_path, capsys)
    assert "none-42 has no score: it was late" in printed
    assert "none-1337 has no score: cannot be read" in printed
    (copy / "score_first-42" / "ttt.json").unlink()
    (copy / "score_first-1337" / "results.json").unlink()
    _, printed = written([copy], tmp_path, capsys)
    assert "the report of ttt, which made its score, is gone" in printed


def test_a_seed_that_ran_twice(sweep, copy, tmp_path, capsys):
    def worse(results: dict) -> None:
        results["val_bpb"] += 1
        for stage in ("prequant", "quantized", "sliding", "ttt"):
            results[stage]["val_bpb"] += 1

    change(copy / "score_first-42", worse)
    _, printed = written([sweep, copy], tmp_path, capsys)
    assert f"{TTT}: seed 42 ran 2 times; the last one counts" in printed
    row = printed.split(TTT)[1]  # the scores come first
    of_seeds = [json.loads((copy / f"score_first-{seed}" / "results.json").read_text()) for seed in SEEDS]
    for stage in ("prequant", "quantized", "sliding", "ttt"):
        assert f"{fmean(results[stage]['val_bpb'] for results in of_seeds):.5f}" in row


@pytest.mark.usefixtures("wandb_home", "fresh_wandb")
def test_differences_are_logged_to_wandb_on_request(copy, sweep, tmp_path, capsys):
    for path in copy.rglob("config.yaml"):
        config = yaml.safe_load(path.read_text())
        config["tracker"] = composed("tracker=wandb", "tracker.mode=offline", "tracker.group=mine")["tracker"]
        path.write_text(yaml.safe_dump(config))
    written([copy], tmp_path / "tracked", capsys, wandb=True)
    (logged,) = wandb_runs(tmp_path / "tracked")
    assert (logged.group, logged.job_type) == ("mine", "report")
    (table,) = (tmp_path / "tracked").glob("wandb/offline-run-*/files/media/table/**/*.json")
    (row,) = json.loads(table.read_text())["data"]
    none, ttt = (sum(scores(sweep, option)) / 2 for option in ("none", "score_first"))
    assert abs(row[4]) == pytest.approx(abs(none - ttt))
    written([copy], tmp_path / "unasked", capsys)
    assert not (tmp_path / "unasked" / "wandb").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"reference": "ttt=nine"}, "--reference: no such variant|ttt=none"),
        ({"baseline": "nowhere.json"}, r"nowhere\.json: is not a baseline"),
        ({"wandb": True}, r"^--wandb: .* was not tracked by W&B; run it with tracker=wandb"),
    ],
)
def test_mistakes(sweep, tmp_path, capsys, arguments, problem):
    with pytest.raises(UserError, match=problem):
        written([sweep], tmp_path, capsys, **arguments)


def test_the_command(sweep, tmp_path):
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "golf.report", *arguments], cwd=tmp_path, capture_output=True, text=True
        )

    before = sorted(sweep.rglob("*"))
    done = command(str(sweep))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].strip() == "report/report.html"
    assert (tmp_path / "report" / "report.html").is_file()
    assert sorted(sweep.rglob("*")) == before
    for wrong in (str(tmp_path / "nowhere"), str(tmp_path)):
        failed = command(wrong)
        assert failed.returncode == 2
        assert failed.stderr.startswith(f"golf: error: {wrong}: ")
        assert len(failed.stderr.splitlines()) == 1


DAMAGE = {
    "results.json": [b"[]", b"[" * 10**5, b"\xff", b'{"val_bpb": NaN}'],
    "ttt.json": [b"\0", b"{}"],
    "config.yaml": [b"", b"\0", b"[]"],
    "status.json": [b"3"],
}


def test_one_bad_run_is_one_line_and_the_code_is_1(copy, tmp_path, capsys):
    for name, contents in DAMAGE.items():
        path = copy / "none-42" / name
        before = path.read_bytes() if path.exists() else None
        for content in [*contents, None]:
            path.unlink(missing_ok=True)
            os.mkfifo(path) if content is None else path.write_bytes(content)
            runs, without = read_runs([copy])
            assert len(runs) == 3
            (why,) = without.values()
            assert why.damaged
            assert str(path) in why.reason
        path.unlink()
        if before is not None:
            path.write_bytes(before)
    (copy / "none-42" / "results.json").write_text("[]")
    asked = {"reference": None, "metric": "val_bpb", "baseline": None, "output": tmp_path / "out", "wandb": False}
    assert not report([copy], **asked)
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if "cannot be read" in line]) == 1
    assert f"{scores(copy, 'score_first')[0]:.5f}" in printed


def test_what_cannot_be_written_is_said_before_the_work(sweep, tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--output .*/file/report: cannot be written \(.*\); give another"):
        report(
            [sweep], reference=None, metric="val_bpb", baseline=None, output=tmp_path / "file" / "report", wandb=False
        )
    assert capsys.readouterr().out == ""


def test_runs_below_a_folder_called_wandb(sweep, tmp_path, capsys):
    """A folder of that name in a run's directory is W&B's, with a config.yaml of its own."""
    for option in ("none", "score_first"):
        copied = tmp_path / "wandb" / "sweep" / option
        shutil.copytree(sweep / f"{option}-42", copied)
        (copied / "wandb" / "run").mkdir(parents=True)
        shutil.copy(copied / "config.yaml", copied / "wandb" / "run")
    runs, without = read_runs([tmp_path / "wandb" / "sweep"])
    assert (sorted(run.directory.name for run in runs), without) == (["none", "score_first"], {})
    written([tmp_path / "wandb"], tmp_path / "out", capsys)
