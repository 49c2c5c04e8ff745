"""The launcher as the user meets it: a process, a command line, an exit code, one line.

The root configuration and the help are those that are shipped; their groups are toys, so that nothing heavy is imported
and each way for a mistake to get in can be tried. Runs that go well are tested with the pipeline.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

import golf
from golf.app import claim
from golf.paths import config_dir

SHIPPED = ("hydra", "launch", "sweep", "cache", "resume")  # the groups that a toy run takes as they are
ROOT = yaml.safe_load((config_dir() / "config.yaml").read_text())
CHOSEN = {key: option for entry in ROOT["defaults"] if isinstance(entry, dict) for key, option in entry.items()}
TOYS = [name for name in CHOSEN if not name.startswith("override ") and name not in (*SHIPPED, "experiment")]
TOY = "_target_: toys.Toy\nepochs: 3\nhash_embed: true\nema: 1e-3\n"
FILES = {
    # classes beside the user's own YAML
    "toys.py": """\
        class Toy:
            def __init__(self, model, *, epochs: int | None, hash_embed: bool, ema: float | None): ...
        """,
    "interrupted.py": "raise KeyboardInterrupt",
    "buggy.py": "1 / 0",
    # group options
    "ttt/mistyped.yaml": TOY.replace("hash_embed:", "hash_embedd:"),
    "ttt/mandatory.yaml": TOY.replace("epochs: 3", "epochs: ???"),
    "ttt/unclosed.yaml": "_target_: [",
    "ttt/interrupted.yaml": "_target_: interrupted.Toy",
    "ttt/buggy.yaml": "_target_: buggy.Toy",
    # experiments
    "experiment/good.yaml": """\
        # @package _global_
        defaults:
          - smoke
          - override /ttt: mandatory
        seed: 7
        ttt:
          ema: 0.5
        """,
    "experiment/root_key.yaml": "# @package _global_\ndefaults: [smoke]\nsed: 7\n",
    "experiment/key.yaml": "# @package _global_\ndefaults: [smoke]\nttt:\n  hash_embedd: false\n",
    "experiment/value.yaml": "# @package _global_\ndefaults: [smoke]\nttt:\n  epochs: three\n",
    "experiment/option.yaml": "# @package _global_\ndefaults:\n  - smoke\n  - override /ttt: mistypd\n",
    "experiment/group.yaml": "# @package _global_\ndefaults:\n  - smoke\n  - override /quantiser: none\n",
}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the shipped root in conf/, one toy option in each group, and a user's own files in mine/."""
    path = tmp_path_factory.mktemp("toys")
    for group in SHIPPED:
        shutil.copytree(config_dir() / group, path / "conf" / group)
    shutil.copy(config_dir() / "config.yaml", path / "conf")
    files = {f"mine/{name}": dedent(text) for name, text in FILES.items()}
    files["conf/experiment/smoke.yaml"] = (config_dir() / "experiment" / "smoke.yaml").read_text()
    for group in TOYS:
        files[f"conf/{group}/{CHOSEN[group]}.yaml"] = TOY
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def run(toys: Path, cwd: Path, *arguments: str, python: tuple[str, ...] = (), **environment: str):
    """`python -m golf` on the toys, in `cwd`; -P keeps that directory off sys.path, as the console script does."""
    command = [sys.executable, "-P", *python, "-m", "golf", f"--config-path={toys}/conf", f"--config-dir={toys}/mine"]
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"} | environment
    return subprocess.run([*command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


HEAVY = {"torch", "wandb", "matplotlib", "sentencepiece", "brotli", "constriction", "numpy", "rich"}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--help",), ("--cfg", "job")])
def test_looking_imports_nothing_heavy_and_leaves_nothing(
    toys: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = run(toys, tmp_path, *arguments, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in result.stderr.splitlines()}
    assert result.returncode == 0
    assert {"golf", "hydra"} <= imported
    assert not HEAVY & imported
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_packages(toys: Path, tmp_path: Path) -> None:
    assert run(toys, tmp_path, "--version").stdout == f"golf {version('golf')}\n"


@pytest.mark.parametrize("shown", [("--cfg", "hydra"), ("--cfg=hydra",), ("-c", "hydra")])
def test_hydras_own_part_is_resolved(toys: Path, tmp_path: Path, shown: tuple[str, ...]) -> None:
    result = run(toys, tmp_path, *shown, "--resolve", "hydra/launcher=slurm", "launch.nproc_per_node=4")
    config = yaml.safe_load(result.stdout)
    assert (config["launcher"]["gpus_per_node"], config["job"]["name"]) == (4, "golf")
    assert config["sweep"]["dir"].startswith(f"{tmp_path}/multirun/")
    assert list(tmp_path.glob("multirun/*/*")) == []


def test_help_shows_groups_options_and_examples(toys: Path, tmp_path: Path) -> None:
    text = run(toys, tmp_path, "--help").stdout
    assert "ttt: buggy, interrupted, mandatory, mistyped, score_first, unclosed\n" in text
    assert "experiment: good, group, key, option, root_key, smoke, value\n" in text
    for example in ("experiment=record seed=42", "-m seed=1337,42,2025", "ttt.hash_embed=false"):
        assert f"python -m golf {example} " in text
    assert "hydra/" not in text


def test_precedence_is_root_then_experiment_then_command_line(toys: Path, tmp_path: Path) -> None:
    shown = run(toys, tmp_path, "--cfg", "job", "experiment=good", "ttt.epochs=5")
    config = yaml.safe_load(shown.stdout)
    assert (config["seed"], config["input"]) == (7, None)
    assert config["ttt"] == {"_target_": "toys.Toy", "epochs": 5, "hash_embed": True, "ema": 0.5}
    assert "hydra" not in config
    shown = run(toys, tmp_path, "--cfg", "job", "experiment=good", "ttt=score_first", "seed=8")
    config = yaml.safe_load(shown.stdout)
    assert (config["seed"], config["ttt"]["epochs"]) == (8, 3)


TTT_KEY = "ttt.hash_embedd: no such key; did you mean hash_embed? (keys: ema, epochs, hash_embed)"
ROOT_KEY = "sed: no such key; did you mean seed? (keys: "


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        # the command line, where Hydra finds the mistake
        ("ttt.hash_embedd=false", TTT_KEY),
        ("sed=3", ROOT_KEY),
        ("quantiser=none", "quantiser: no such key; did you mean quantizer? (keys: "),
        ("experimnt=good", "experimnt: no such key; did you mean experiment? (keys: "),
        ("ttt=mistypd", "ttt=mistypd: no such option; did you mean mistyped? (options: buggy, interrupted"),
        ("ttt=3", "ttt=3: a config group takes the name of one of its options; python -m golf --help lists them"),
        ("quantizer=null", "quantizer=null: a config group takes the name of one of its options; "),
        ("+ttt.epochs=4", "Could not append to config. An item is already at 'ttt.epochs'."),
        ("ttt.ema=[1", "ttt.ema=[1: no viable alternative at input '[1'"),
        ("hydra.run.dir=${nowhere}", "hydra.run.dir: Interpolation key 'nowhere' not found"),
        ("hydra.run.dir=/proc/x", "the run directory /proc/x cannot be made (No such file or directory); give another"),
        # the command line, where the check finds it
        ("+ttt.hash_embedd=false", TTT_KEY),
        ("~ttt.epochs", "ttt.epochs: missing; toys.Toy needs it"),
        ("ttt.epochs=abc", "ttt.epochs: expected int or null, got 'abc'"),
        ("ttt.epochs=${nowhere}", "ttt.epochs: Interpolation key 'nowhere' not found"),
        ("ttt._target_=toys.Nothing", "ttt._target_: toys.Nothing cannot be imported (module 'toys' has no attribute"),
        # an experiment's YAML
        ("experiment=root_key", ROOT_KEY),
        ("experiment=key", TTT_KEY),
        ("experiment=value", "ttt.epochs: expected int or null, got 'three'"),
        ("experiment=option", "ttt=mistypd: no such option; did you mean mistyped? (options: "),
        ("experiment=group", "In 'experiment/group': override quantiser: no such group; did you mean quantizer? (gr"),
        ("experiment=good", "ttt.epochs: must be given; add ttt.epochs=VALUE to the command line"),
        # a group's YAML
        ("ttt=mistyped", TTT_KEY),
        ("ttt=unclosed", "while parsing a flow"),
        # the pipeline
        ("stages=[evaluate]", "stages=['evaluate']: evaluate needs artifact.golf, which the stage quantize makes"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(toys: Path, tmp_path: Path, argument: str, message: str) -> None:
    result = run(toys, tmp_path, argument)
    assert re.fullmatch(r"golf: error: .*\n", result.stderr)
    assert result.stderr.startswith(f"golf: error: {message}")
    assert result.returncode == 2
    assert result.stdout == ""
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.parts[-3:-2] == ("multirun",)] == []


def test_the_traceback_comes_for_those_who_ask(toys: Path, tmp_path: Path) -> None:
    for argument in ("ttt.hash_embedd=false", "+ttt.hash_embedd=false"):
        result = run(toys, tmp_path, argument, HYDRA_FULL_ERROR="1")
        assert result.stderr.startswith("Traceback")
        assert result.stderr.endswith(f"\ngolf: error: {TTT_KEY}\n")
        assert result.returncode == 2


def test_a_directory_that_hydra_takes_for_a_reference(toys: Path, tmp_path: Path) -> None:
    (tmp_path / "${b}").mkdir()
    result = run(toys, tmp_path / "${b}")
    assert result.stderr == f"golf: error: {tmp_path}/${{b}}: ${{ is a reference to Hydra; work in another directory\n"
    assert result.returncode == 2


def test_a_bug_is_a_whole_traceback(toys: Path, tmp_path: Path) -> None:
    result = run(toys, tmp_path, "ttt=buggy")
    assert "buggy.py" in result.stderr
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert result.returncode == 1


@pytest.mark.slow
def test_a_directory_of_the_users_own_stays(toys: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert run(toys, tmp_path, "hydra.run.dir=mine", "stages=[evaluate]").returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bug_leaves_no_empty_directory(toys: Path, tmp_path: Path) -> None:
    assert run(toys, tmp_path, "ttt=buggy").returncode == 1
    assert list(tmp_path.glob("multirun/*/*")) == []


def test_an_interrupt_is_130(toys: Path, tmp_path: Path) -> None:
    result = run(toys, tmp_path, "ttt=interrupted")
    assert (result.returncode, result.stderr) == (130, "golf: error: stopped by SIGINT\n")


def test_claims_never_collide(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: claim(str(tmp_path / "multirun" / "12-00-00")), range(32)))
    assert len(set(paths)) == 32
    assert all(Path(path).is_dir() for path in paths)
    assert str(tmp_path / "multirun" / "12-00-00") in paths


@pytest.mark.parametrize("place", ["golf/conf", "conf"])
def test_config_is_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, place: str) -> None:
    package = Path(golf.__file__).parent
    for source in [*package.glob("*.py"), *package.glob("config/*.py"), *package.glob("utils/*.py")]:
        target = tmp_path / "golf" / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    (tmp_path / place).mkdir()
    printed = subprocess.run(
        [sys.executable, "-c", "from golf.paths import config_dir; print(config_dir())"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert printed.stdout.strip() == str(tmp_path.resolve() / place)
