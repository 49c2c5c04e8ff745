"""The folder that is handed in: from real runs and the packed script's own logs; and what an audit must not pass."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs import composed, run
from submit.tiny import ABOUT, SEEDS

from golf.errors import UserError
from golf.submit.folder import requirements
from golf.submit.submit import read_about, submit

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tiny_submission, tmp_path) -> Path:
    for name in ("sweep", "submission-runs"):
        shutil.copytree(tiny_submission / name, tmp_path / name)
    return tmp_path


def handed_in(root: Path) -> tuple[bool, dict[str, bool]]:
    """Whether the audit passed, and each of its checks."""
    passed = submit([root / "sweep"], ABOUT, root / "submission", root / "submission-runs")
    compliance = json.loads((root / "submission" / "compliance.json").read_text())
    assert compliance["verdict"] == ("pass" if passed else "fail")
    return passed, {check["name"]: check["holds"] for check in compliance["checks"]}


def failing(root: Path) -> set[str]:
    return {name for name, holds in handed_in(root)[1].items() if not holds}


def change(path: Path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_it_passes_with_the_scripts_logs_and_not_without(copy):
    assert handed_in(copy)[0]
    shutil.rmtree(copy / "submission-runs")
    assert failing(copy) == {"logs: complete"}


def test_the_folder(copy):
    handed_in(copy)
    folder = copy / "submission"
    names = {"README.md", "submission.json", "compliance.json", "requirements.txt", "artifact.golf", "train_gpt.py"}
    assert {path.name for path in folder.iterdir()} == names | {f"train_seed{seed}.log" for seed in SEEDS}
    said = json.loads((folder / "submission.json").read_text())
    scores = [json.loads((copy / f"sweep/seed={seed}/results.json").read_text())["val_bpb"] for seed in SEEDS]
    assert said["val_bpb"] == pytest.approx(sum(scores) / 2)
    assert said["val_bpb_std"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    assert (said["seeds"], said["author"], said["compliance"]) == ([42, 1337], "Ada Lovelace", "pass")
    assert said["seed_results"]["42"]["code_bytes"] == (folder / "train_gpt.py").stat().st_size
    total = said["seed_results"]["42"]["artifact_bytes"] + said["seed_results"]["42"]["code_bytes"]
    assert total == said["seed_results"]["42"]["total_bytes"]
    assert (folder / "artifact.golf").read_bytes() == (copy / "submission-runs/seed42/artifact.golf").read_bytes()
    packages = [line.partition("==")[0] for line in (folder / "requirements.txt").read_text().splitlines()]
    assert packages == ["constriction", "numpy", "sentencepiece", "torch"]
    readme = (folder / "README.md").read_text()
    assert f"| 42 | {scores[0]:.5f} |" in readme
    assert "| `ttt.epochs` | 1 | 3 |" in readme
    assert "| `data.val_tokens` | 1025 | null |" in readme
    assert "`data.path`" not in readme
    assert "FAILS" not in readme
    assert "python train_gpt.py --seed 42 --data DIR" in readme


def test_a_log_of_another_script(copy):
    path = copy / "submission-runs" / "train_seed42.log"
    _, rest = path.read_text().split("\n", 1)
    path.write_text(f"sha256 {'0' * 64}\n{rest}")
    assert failing(copy) == {"logs: by the script"}


def test_a_log_that_ends_early(copy):
    path = copy / "submission-runs" / "train_seed42.log"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]))
    assert failing(copy) == {"logs: complete"}


def test_a_log_of_another_seed(copy):
    logs = copy / "submission-runs"
    shutil.copy(logs / "train_seed42.log", logs / "train_seed1337.log")
    with pytest.raises(UserError, match=r"train_seed1337\.log: is the log of seed 42"):
        handed_in(copy)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_an_artifact_that_is_not_the_logs(copy, spoil):
    spoil(copy / "submission-runs" / "seed42" / "artifact.golf")
    with pytest.raises(UserError, match=r"seed42/artifact\.golf: is not the artifact of .*log"):
        handed_in(copy)


def test_a_referee_of_ones_own(copy, tmp_path, monkeypatch):
    (tmp_path / "own_referee.py").write_text(
        "from golf.evaluation.sliding import Sliding\n\nclass Mine(Sliding):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for path in (copy / "sweep").glob("*/*.json"):
        if path.name in ("train.json", "evaluate.json", "ttt.json"):
            change(path, lambda record: record["config"]["evaluation"].update(_target_="own_referee.Mine"))
    assert failing(copy) == {"provenance: evaluation", "logs: by the script"}


def test_where_nothing_can_be_handed_in(copy):
    sweep, out = copy / "sweep", copy / "submission"
    with pytest.raises(UserError, match="no directory of runs is given"):
        submit([], ABOUT, out, copy / "logs")
    with pytest.raises(UserError, match="submission: must differ from --output"):
        submit([sweep], ABOUT, out, out)
    out.write_text("")
    with pytest.raises(UserError, match="submission: is a file"):
        submit([sweep], ABOUT, out, copy / "logs")


def test_a_log_on_other_data(copy):
    path = copy / "submission-runs" / "train_seed42.log"
    path.write_text(path.read_text().replace('data {"train": 2', 'data {"train": 80'))
    assert failing(copy) == {"logs: data"}


@pytest.mark.parametrize("seeds", [SEEDS, SEEDS[:1]])
def test_bytes_that_are_not_those_of_the_text(copy, seeds):
    for seed in seeds:
        change(copy / "sweep" / f"seed={seed}" / "results.json", lambda said: said["account"].update(text_bytes=1))
    assert failing(copy) == {"bytes: by the text", "logs: data"}


def test_a_run_without_an_account_of_its_bytes(copy):
    change(copy / "sweep" / "seed=42" / "results.json", lambda results: results.pop("account"))
    assert failing(copy) == {"bytes: by the text", "logs: data"}


@pytest.mark.parametrize("text", ["", "one two\n", "sha256 x\nconfig {}\n"])
def test_what_is_no_log(copy, text):
    (copy / "submission-runs" / "train_seed42.log").write_text(text)
    with pytest.raises(UserError, match=r"train_seed42\.log: is no log of a packed script"):
        handed_in(copy)


def edit_ttt(**facts):
    return lambda record: record["result"]["facts"].update(facts)


def edit_provenance(**facts):
    return lambda record: record["provenance"].update(facts)


@pytest.mark.parametrize(
    ("stage", "edit", "fails"),
    [
        ("ttt", edit_ttt(probed=0), {"condition 1: causal", "condition 2: normalised"}),
        ("ttt", edit_ttt(handed_out=1025), {"condition 3: score before update"}),
        ("ttt", edit_ttt(targets=100, handed_out=0), {"condition 4: one pass"}),
        ("train", edit_provenance(code_sha256="0"), {"provenance: code", "provenance: script"}),
        ("evaluate", edit_provenance(ranks=8), {"provenance: processes"}),
        ("quantize", lambda record: record["provenance"]["data"].update(val_tokens=1), {"provenance: data"}),
        ("train", edit_provenance(git=None), {"provenance: commit"}),
        ("train", lambda record: record["provenance"]["git"].update(dirty=True), {"provenance: commit"}),
    ],
)
def test_what_does_not_hold_is_told(copy, stage, edit, fails):
    change(copy / "sweep" / "seed=42" / f"{stage}.json", edit)
    assert failing(copy) == fails


def test_a_run_that_was_resumed_is_told(copy):
    change(copy / "sweep" / "seed=42" / "train.json", lambda record: record.update(resumed=2))
    assert failing(copy) == set()
    checks = json.loads((copy / "submission" / "compliance.json").read_text())["checks"]
    assert {"train of seed 42 2×"} == {check["found"] for check in checks if check["name"] == "provenance: resumed"}


def test_budgets(copy):
    path = copy / "submission-runs" / "train_seed42.log"
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    for i, (word, text) in enumerate(lines):
        fields = json.loads(text) if text.startswith("{") else None
        if word == "finished" and fields["stage"] == "train":
            fields["result"]["seconds"] = 595
        elif word == "finished" and fields["stage"] == "quantize":
            fields["result"]["seconds"]["quantize"] = 6
        elif word == "finished" and fields["stage"] == "ttt":
            fields["result"]["seconds"] = 601
        elif word == "score":
            fields["total_bytes"] = 16_000_001
        lines[i] = [word, text if fields is None else json.dumps(fields)]
    path.write_text("\n".join(" ".join(line) for line in lines))
    assert failing(copy) == {"budget: training and GPTQ", "budget: evaluation", "budget: code and artifact"}
    checks = json.loads((copy / "submission" / "compliance.json").read_text())["checks"]
    margins = {check["name"]: check["margin"] for check in checks}
    assert margins["budget: training and GPTQ"] == -1
    assert margins["budget: code and artifact"] == -1


def test_runs_of_several_variants(copy):
    run(copy / "sweep" / "other", "trainer.steps=1", "ttt=none")
    with pytest.raises(UserError, match=r"these are 2 variants .*give the runs of one"):
        handed_in(copy)


def test_a_seed_twice(copy):
    shutil.copytree(copy / "sweep" / "seed=42", copy / "sweep" / "again")
    with pytest.raises(UserError, match="a seed ran twice"):
        handed_in(copy)


def test_what_is_said_of_it():
    assert read_about([*ABOUT, "blurb=a=b"]).blurb == "a=b"
    with pytest.raises(UserError, match="author, github_id, name: missing; add author=…"):
        read_about([])
    with pytest.raises(UserError, match="name: missing; add name=…"):
        read_about([*ABOUT, "name="])
    with pytest.raises(UserError, match="autor: no such key; did you mean author"):
        read_about([*ABOUT, "autor=x"])


def test_the_command(tiny_submission, tmp_path):
    command = [sys.executable, "-m", "golf.submit", str(tiny_submission / "sweep"), *ABOUT, "--output", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "mine: not ready" in done.stdout
    script = tmp_path / "mine" / "train_gpt.py"
    assert f"python {script} --seed 42 --data DIR" in done.stdout
    assert script.read_bytes() == (tiny_submission / "submission" / "train_gpt.py").read_bytes()
    wrong = subprocess.run([*command[:3], "nowhere"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1


def test_the_script_is_of_what_made_the_score(tiny_submission):
    log = (tiny_submission / "submission-runs" / "train_seed42.log").read_text().splitlines()
    config = json.loads(log[1].removeprefix("config "))
    assert (config["trainer"]["steps"], config["ttt"]["epochs"]) == (2, 1)
    assert config["model"] == composed("experiment=tiny")["model"]


def test_what_the_script_requires():
    sources = {"a": "import json, triton.language as tl", "b": "from torch import nn"}
    assert requirements(sources, {"torch": "2.9.0+cpu", "triton": "3.5.0"}) == ["torch==2.9.0", "triton==3.5.0"]
    assert requirements({"b": sources["b"]}, {"torch": "2.9.0", "numpy": "2.4.0"}) == ["torch==2.9.0"]
