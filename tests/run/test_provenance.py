"""Who made a result can be told afterwards."""

import json
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from golf.run import provenance as module
from golf.run.provenance import code_digest, config_digest, git_state, provenance

ROOT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def _outside_of_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A git hook that runs the tests points git at its own repository."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "golf").mkdir(parents=True)
    (folder / "golf" / "code.py").write_text("x = 1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def copied(tmp_path: Path, conf: str) -> Path:
    """The package and its configuration elsewhere; `conf` is where the latter lies beside or in the package."""
    ignore = shutil.ignore_patterns("__pycache__", "conf")
    shutil.copytree(ROOT / "golf", tmp_path / "golf", ignore=ignore)
    shutil.copytree(ROOT / "conf", tmp_path / conf)
    return tmp_path / "golf"


def test_is_json_and_complete() -> None:
    made = provenance({"seed": 1}, {"tokenizer": {"sha256": "ab"}}, "cpu")
    assert json.loads(json.dumps(made)) == made
    assert set(made) == {"git", "code_sha256", "config_sha256", "data", "versions", "device", "date"}
    assert made["data"] == {"tokenizer": {"sha256": "ab"}}
    assert made["versions"]["torch"].startswith("2.")
    assert set(made["versions"]) == {"python", *module.DISTRIBUTIONS}
    assert made["device"]["type"] == "cpu"
    assert made["device"]["name"]
    assert made["device"]["count"] >= 1
    offset = datetime.fromisoformat(made["date"]).utcoffset()
    assert offset is not None
    assert not offset


def test_an_absent_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISTRIBUTIONS", ("no-such-distribution-here",))
    assert provenance({}, {}, "cpu")["versions"]["no-such-distribution-here"] is None


def test_config_digest_is_of_the_values_alone() -> None:
    digest = config_digest({"a": 1, "b": {"c": [1, 2]}})
    assert digest == config_digest({"b": {"c": [1, 2]}, "a": 1})
    assert digest != config_digest({"a": 1, "b": {"c": [2, 1]}})
    assert digest != config_digest({"a": 1.5, "b": {"c": [1, 2]}})


def test_code_digest_is_the_same_in_a_checkout_and_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = code_digest()
    for name, conf in (("checkout", "conf"), ("wheel", "golf/conf")):
        monkeypatch.setattr("golf.paths.PACKAGE", copied(tmp_path / name, conf))
        assert code_digest() == here


@pytest.mark.slow
def test_code_digest_sees_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("golf.paths.PACKAGE", copied(tmp_path, "conf"))
    seen = {code_digest()}
    (tmp_path / "golf" / "notes.txt").write_text("not code")
    assert {code_digest()} == seen
    files = [*(tmp_path / "golf").rglob("*.py"), *(tmp_path / "conf").rglob("*.yaml")]
    for file in files:
        file.write_text(file.read_text() + "# changed\n")
        seen.add(code_digest())
    files[0].rename(files[0].with_stem("renamed"))
    seen.add(code_digest())
    assert len(seen) == len(files) + 2


def test_git_state_of_a_clean_and_a_changed_checkout(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD").strip()
    assert git_state(checkout) == {"commit": commit, "dirty": False}
    (checkout / "golf" / "new.py").write_text("")
    assert git_state(checkout) == {"commit": commit, "dirty": True}


def test_files_left_by_commands_do_not_change_the_digest(checkout: Path) -> None:
    for path in ("submission/README.md", "submission-runs/train_seed42.log", "report/report.html", "multirun/a/b"):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text("")
    shutil.copy(ROOT / ".gitignore", checkout)
    git(checkout, "add", ".gitignore")
    git(checkout, "commit", "-qm", "Ignore")
    state = git_state(checkout)
    assert state is not None
    assert not state["dirty"]


def test_git_state_is_none_inside_somebody_elses_repository(checkout: Path) -> None:
    site_packages = checkout / "venv" / "site-packages"
    site_packages.mkdir(parents=True)
    assert git_state(site_packages) is None


def test_git_state_ignores_the_working_directorys_repository(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(checkout, "rev-parse", "HEAD").strip()
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.chdir(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))  # as in a hook of the other repository
    assert git_state(checkout) == {"commit": commit, "dirty": False}
    assert git_state(tmp_path) is None


def test_git_state_is_none_without_git_or_without_a_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert git_state(empty) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(checkout) is None
