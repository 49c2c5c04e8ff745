"""A submission as it was handed in holds, and an edit is found: of anything with the digests of the day, and of what
follows from something else with new digests too."""

import hashlib
import json
import lzma
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submit.tiny import DATA

from golf.pack.pack import program
from golf.pack.self_extracting import FILTER, HEAD, TAIL, self_extracting, wrap
from golf.verify.__main__ import main
from golf.verify.finding import Finding
from golf.verify.unpack import unpack
from golf.verify.verify import CHECKS, verify

pytestmark = pytest.mark.slow

LOG = "train_seed42.log"
FILES = [
    *("README.md", "artifact.golf", "compliance.json", "requirements.txt", "train_gpt.py"),
    *("train_seed1337.log", LOG),
]
QUICK = [name for name in CHECKS if name not in ("requirements.txt", "train_gpt.py")]
SCORE = json.dumps({"val_bpb": 1.0, "val_loss": 1.0, "artifact_bytes": 1, "code_bytes": 1, "total_bytes": 1})
SOME = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def folder(tiny_submission, tmp_path) -> Path:
    return shutil.copytree(tiny_submission / "submission", tmp_path / "submission")


def failed(folder: Path, names=CHECKS, data=None) -> dict[str, str]:
    """What was seen, by the names of what failed."""
    return {each.name: each.seen for each in verify(folder, data, names) if each.verdict == "failed"}


def finding(folder: Path, name: str, data=None) -> Finding:
    return next(each for each in verify(folder, data) if each.name == name)


def seal(folder: Path) -> None:
    """Put the digests that the files have now into submission.json."""
    said = json.loads((folder / "submission.json").read_text())
    said["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in said["files"]}
    (folder / "submission.json").write_text(json.dumps(said))


def forge(folder: Path, name: str, old: str, new: str) -> None:
    """Edit a file, and its digest too."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    seal(folder)


def leaves(value, *path) -> Iterator[tuple]:
    """The place of every number, string and the like in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path
    for key, inner in items:
        yield from leaves(inner, *path, key)


def edited(value, path):
    """A copy with another value in that place."""
    if not path:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return type(value)(value * 1.25 + 1) if number else not value if isinstance(value, bool) else f"{value}x"
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = edited(value[path[0]], path[1:])
    return copy


def test_it_holds_as_it_was_handed_in(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = verify(folder, None)
    assert failed(folder) == {}
    assert {each.name for each in found if each.verdict == "not checked"} == {
        *("requirements.txt: versions", "submission.json: stated", "compliance.json: runs"),
        *("score", "training", "seconds, hardware"),
    }
    assert {f"file {name}" for name in FILES} < {each.name for each in found}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@SOME
@given(st.data())
def test_a_byte_of_any_file(folder, data):
    path = folder / data.draw(st.sampled_from(FILES))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :])
    try:
        assert f"file {path.name}" in failed(folder, ["files"])
    finally:
        path.write_bytes(content)


def test_every_value_of_submission_json(folder):
    path = folder / "submission.json"
    said = json.loads(path.read_text())
    known = {"author", "github_id", "track", "packed_by"}  # to nobody else; and the day, if it is one
    for place in leaves(said):
        path.write_text(json.dumps(edited(said, place)))
        found = failed(folder, ["files", "submission.json", "README.md"])
        assert bool(found) == (place[0] not in known), place
    for key in said:
        path.write_text(json.dumps({name: value for name, value in said.items() if name != key}))
        assert failed(folder, QUICK) or key == "packed_by"
    path.write_text(json.dumps({**said, "date": "2020-01-01"}))
    assert not failed(folder, QUICK)


def test_every_value_of_compliance_json(folder):
    path = folder / "compliance.json"
    said = json.loads(path.read_text())
    for place in leaves(said):
        path.write_text(json.dumps(edited(said, place)))
        seal(folder)
        assert failed(folder, ["compliance.json", "README.md"]), place
    path.write_text(json.dumps({**said, "checks": said["checks"][1:]}))
    seal(folder)
    assert "condition 1: causal" in failed(folder, ["compliance.json"])["compliance.json"]


def test_every_line_of_the_readme(folder):
    lines = (folder / "README.md").read_text().splitlines()
    for i, line in enumerate(lines):
        if re.search(r"\d", line):
            changed = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), line)
            (folder / "README.md").write_text("\n".join([*lines[:i], changed, *lines[i + 1 :]]))
            seal(folder)
            assert json.dumps(changed)[:80] in failed(folder, ["README.md"])["README.md"]


def test_every_value_of_a_log(folder):
    """With a new digest, all is found but what nothing else follows from."""
    path = folder / LOG
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    unseen = set()
    for i, (word, text) in enumerate(lines):
        fields = json.loads(text) if text.startswith("{") else text
        for place in leaves(fields):
            changed = edited(fields, place)
            line = [word, changed if isinstance(changed, str) else json.dumps(changed)]
            path.write_text("\n".join(" ".join(each) for each in [*lines[:i], line, *lines[i + 1 :]]) + "\n")
            assert f"file {LOG}" in failed(folder, ["files"])
            if not (failed(folder, ["logs"]) or failed(folder, QUICK[2:])):
                unseen.add((word, *place))
    assert unseen == {
        *(("train", name) for name in ("loss", "lr_scale", "tokens_per_second")),
        *(("recurrence_on", name) for name in ("step", "progress")),
        *(("ttt", name) for name in ("step", "val_loss", "val_bpb", "lr")),
        *(("finished", name) for name in ("seconds", "peak_memory_bytes")),
        *(("finished", "result", name) for name in ("matrix_clip", "embed_clip")),
        ("finished", "result", "facts", "handed_out"),
    }


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("sha256 ", "sha256 0", "log 42: script"),
        ('"matrix_lr": 0.02', '"matrix_lr": 0.03', "log 42: config: optimizer.matrix_lr"),
        ('"ranks": 1', '"ranks": 8', "logs: machine"),
        ('"targets": 1024, "tok', '"targets": 1025, "tok', "logs: data"),
        ('train {"step": 2', 'train {"step": 3', "log 42: training: steps"),
        ("validate {", "validated {", "logs"),
        ('score {"val_loss": ', 'score {"val_loss": 1', "log 42: score: val_loss"),
        ('"total_bytes": ', '"total_bytes": 1', "log 42: score: total_bytes"),
        ('artifact {"sha256": "', 'artifact {"sha256": "0', "artifact.golf"),
        ("score {", f"score {SCORE}\nscore {{", "log 42: order"),
        ('"stage": "ttt"', '"stage": "evaluate"', "logs"),
    ],
)
def test_a_forged_line(folder, old, new, found):
    forge(folder, LOG, old, new)
    assert found in failed(folder, QUICK)


def test_files_that_are_missing_or_too_many(folder):
    for name in FILES:
        moved = (folder / name).rename(folder.parent / name)
        assert failed(folder, QUICK)[f"file {name}"] == "is missing"
        (folder / name).symlink_to(moved)
        assert failed(folder, QUICK)[f"file {name}"] == "is missing"
        moved.replace(folder / name)
    for name in ("train_seed7.log", "more/train_seed42.log"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / LOG, folder / name)
    assert set(failed(folder)) == {"file train_seed7.log", "file more/train_seed42.log"}


def test_a_seed_that_is_left_out(folder):
    """A bad one, say; its log is still there, or something is made from it."""
    (folder / LOG).unlink()
    said = json.loads((folder / "submission.json").read_text())
    said["seeds"] = [1337]
    (folder / "submission.json").write_text(json.dumps(said))
    assert {f"file {LOG}", "submission.json: val_bpb", "README.md", "artifact.golf"} <= set(failed(folder))


def test_one_log_for_two_seeds(folder):
    text = (folder / "train_seed1337.log").read_text()
    (folder / LOG).write_text(text.replace('"seed": 1337', '"seed": 42'))
    seal(folder)
    assert failed(folder, ["logs"]) == {"logs: artifacts": "1 from 2 trainings"}


@SOME
@given(st.data())
def test_a_bit_of_the_artifact(folder, data):
    path = folder / "artifact.golf"
    content = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    try:
        seal(folder)
        assert "no log belongs to a run that made it" in failed(folder, ["artifact.golf"])["artifact.golf"]
        forge(folder, LOG, hashlib.sha256(content).hexdigest(), hashlib.sha256(path.read_bytes()).hexdigest())
        assert "artifact.golf" in failed(folder, ["artifact.golf"])
    finally:
        forge(folder, LOG, hashlib.sha256(path.read_bytes()).hexdigest(), hashlib.sha256(content).hexdigest())
        path.write_bytes(content)


def test_another_artifact(folder, tiny_submission):
    other = tiny_submission / "submission-runs" / "seed1337" / "artifact.golf"
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "artifact.golf", other)]
    shutil.copy(other, folder)
    forge(folder, LOG, *digests)
    found = failed(folder, ["logs", "artifact.golf"])
    assert {"logs: artifacts", "artifact: bytes, evaluate", "artifact: tensors: tok_emb.weight"} <= set(found)


def compressed(text: str) -> bytes:
    return lzma.compress(text.encode(), lzma.FORMAT_ALONE, filters=[FILTER])


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (lambda script, text: script + b"open('ran', 'w')\n", "does more than to extract itself"),
        (lambda script, text: b"open('ran', 'w')\n" + script, "does more than to extract itself"),
        (lambda script, text: self_extracting(text + "open('ran', 'w')\n"), "does more than load and run its modules"),
        (lambda script, text: self_extracting("open('ran', 'w')\n" + text), "holds no modules and configuration"),
        (lambda script, text: self_extracting(text.replace("C={", "C=[open('ran', 'w')] and {")), "holds no modules"),
        (lambda script, text: self_extracting("M=" + "[" * 10**5 + "\nC=1\n"), "holds no modules"),
        (lambda script, text: wrap(lzma.compress(text.encode())), "cannot be extracted"),
        (lambda script, text: HEAD + b"'+open('ran','w')+'" + TAIL, "does more than to extract itself"),
        (lambda script, text: script[: len(script) // 2], "does more than to extract itself"),
        (lambda script, text: wrap(compressed(text) + compressed("open('ran','w')")), "holds more than one program"),
    ],
    ids=range(10),
)
def test_a_script_that_does_something_else_is_found_and_not_run(folder, tmp_path, monkeypatch, tamper, why):
    monkeypatch.chdir(tmp_path)
    script = (folder / "train_gpt.py").read_bytes()
    (folder / "train_gpt.py").write_bytes(tamper(script, program(*unpack(script))))
    seal(folder)
    found = failed(folder, ["train_gpt.py", *QUICK])
    assert why in found["train_gpt.py"]
    assert not list(tmp_path.rglob("ran"))


def test_a_script_that_would_fill_the_memory(folder, monkeypatch):
    monkeypatch.setattr("golf.pack.self_extracting.MAX_PROGRAM", 10_000)
    assert "at most 10,000 bytes" in failed(folder, ["train_gpt.py"])["train_gpt.py"]


def test_a_script_with_other_modules(folder):
    """All digests are forged: that of the script, in the logs too."""
    script = (folder / "train_gpt.py").read_bytes()
    sources, config = unpack(script)
    sources["golf.evaluation.stream"] += "\nprint('half of it')"
    other = self_extracting(program(sources, config))
    (folder / "train_gpt.py").write_bytes(other)
    for name in FILES[-2:]:
        forge(folder, name, hashlib.sha256(script).hexdigest(), hashlib.sha256(other).hexdigest())
    name = "train_gpt.py: modules"
    assert failed(folder, ["train_gpt.py"]) == {name: "packed again, they differ: golf.evaluation.stream"}
    forge(folder, "submission.json", sys.version.split()[0], "3.10.0")
    assert finding(folder, name).verdict == "not checked"
    assert "log 42: score: code_bytes" in failed(folder, ["logs"])


def test_a_script_with_another_configuration(folder):
    sources, config = unpack((folder / "train_gpt.py").read_bytes())
    config["optimizer"]["matrix_lr"] = 0.5
    (folder / "train_gpt.py").write_bytes(self_extracting(program(sources, config)))
    seal(folder)
    assert {"log 42: config: optimizer.matrix_lr", "log 1337: config: optimizer.matrix_lr"} <= set(failed(folder))


def test_requirements(folder):
    forge(folder, "requirements.txt", "torch==2.", "torch==1.")
    assert set(failed(folder, ["requirements.txt"])) == {"requirements.txt: torch"}
    forge(folder, "requirements.txt", "numpy", "nunpy")
    assert {"requirements.txt: numpy", "requirements.txt: nunpy"} <= set(failed(folder, ["requirements.txt"]))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[[]]", b'{"checks": [1]}', b"[" * 10**5])
def test_garbage(folder, content):
    for name in [*FILES, "submission.json"]:
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        if name != "submission.json":
            seal(folder)
        assert failed(folder, [name] if name in CHECKS and name != "requirements.txt" else ["logs", "requirements.txt"])
        (folder / name).write_bytes(before)


def command(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["golf.verify", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    code = main()
    return code, *capsys.readouterr()


def test_the_command_repeats_the_score(folder, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, _ = command(monkeypatch, capsys, folder, "--data", DATA)
    assert code == 0
    assert re.search(r"score +│ held +│ that of log 42 to the last bit", out)
    assert re.search(r"score: bytes +│ held", out)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_command_without_data(folder, monkeypatch, capsys):
    code, out, _ = command(monkeypatch, capsys, folder)
    assert (code, "0 failed, 6 not checked" in out) == (0, True)
    (folder / "x\x1b[2J").touch()
    code, out, _ = command(monkeypatch, capsys, folder)
    assert (code, "1 failed" in out, "\x1b[2J" in out) == (1, True, False)
    for wrong in ([folder / "nowhere"], [folder, "--data", folder / "nowhere"]):
        code, _, told = command(monkeypatch, capsys, *wrong)
        assert (code, len(told.splitlines())) == (2, 1)


def test_a_score_that_does_not_repeat(folder):
    score = json.loads((folder / LOG).read_text().splitlines()[-1].removeprefix("score "))
    forge(folder, LOG, str(score["val_loss"]), str(score["val_loss"] - 1e-4))
    assert failed(folder, ["score"], Path(DATA))["score"].startswith("that of log 42 0.0001 off")


def test_bytes_that_do_not_repeat(folder):
    """Neither those of the scores, nor those of the text."""
    (size,) = set(re.findall(r'"table_bytes": (\d+), "text_bytes": \1', (folder / LOG).read_text()))
    for seed in (42, 1337):
        forge(folder, f"train_seed{seed}.log", f'_bytes": {size}', f'_bytes": {int(size) + 1}')
    assert "logs: bytes per token" in failed(folder, ["logs"])
    assert {"score: bytes: table_bytes", "score: bytes: text_bytes"} <= set(failed(folder, ["score"], Path(DATA)))


def test_other_data_are_no_answer(folder, tmp_path):
    for name, edit in {
        "corpus_val_000000.bin": lambda file: file.write_bytes(file.read_bytes()[:-2] + b"\1\0"),
        "tokenizer.model": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
        "corpus_train_000000.bin": lambda file: [each.unlink() for each in file.parent.glob("*train*")],
    }.items():
        data = shutil.copytree(DATA, tmp_path / name)
        edit(data / name)
        found = finding(folder, "score", data)
        assert found.verdict == "not checked"
        assert str(data) in found.seen
