"""Every toggle of conf/ is declared, and changes exactly what `effects.py` declares."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from effects import FLIPS, QUICK, USUAL, Flip
from hydra import compose, initialize_config_dir
from inventory import Inventory
from observe import Observed, changed, golf

from golf.paths import config_dir

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def captured() -> Iterator[None]:
    """Graphs are captured as ever and then run as they are: what compiles them takes a minute, and rounds otherwise."""
    with torch.compiler.set_stance(force_backend="eager"):
        yield


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Observed]:
    """What is observed of a command. Many flips have one in common, which runs once."""
    seen: dict[tuple[str, ...], Observed] = {}

    def observe(command: tuple[str, ...]) -> Observed:
        if command not in seen:
            seen[command] = golf(tmp_path_factory.mktemp("golf"), *command)
        return seen[command]

    return observe


@pytest.mark.slow
@pytest.mark.parametrize("flip", FLIPS, ids=lambda flip: flip.toggle)
def test_a_flip_changes_what_it_declares(flip: Flip, observed: Callable[[tuple[str, ...]], Observed]) -> None:
    if flip.toggle == "compute.device=cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    before, after = observed(flip.without), observed(flip.with_it)
    assert changed(before, after) == flip.changes
    if "answer" in after and "answer" not in before:  # it was refused, and for what it is
        named = (flip.toggle, f"{flip.key}.")  # of an option, one of its keys
        assert any(name in after["answer"] for name in named)


@pytest.mark.slow
def test_nothing_changes_by_itself(observed: Callable[[tuple[str, ...]], Observed], tmp_path: Path) -> None:
    command = Flip("seed=1337").without
    assert changed(observed(command), golf(tmp_path, *command)) == set()


# The declarations are those of what there is


@pytest.fixture(scope="module")
def chosen() -> dict[str, str]:
    """The option of each group in the tiny setting."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return dict(compose("config", USUAL.split(), return_hydra_config=True).hydra.runtime.choices)


def declared(flips: Iterable[Flip], there: Inventory, chosen: dict[str, str]) -> set[str]:
    """The names in the inventory of what these flips flip; of an option, also the one that it takes the place of."""
    names = set()
    for flip in flips:
        group, _, key = flip.key.partition(".")
        options = chosen | dict(word.split("=", 1) for word in flip.without if "=" in word)
        if flip.key in chosen:
            both = {f"{group}={chosen[group]}", flip.toggle}
            names |= both & there.options.keys() if group.startswith("hydra/") else both  # others are Hydra's own
        else:
            target = there.target(group, options.get(group, ""))
            names.add(f"{target}.{key}" if target else flip.key)
    return names


def test_every_toggle_is_declared(chosen: dict[str, str]) -> None:
    there = Inventory(config_dir())
    undeclared = there.toggles - declared(FLIPS, there, chosen)
    assert undeclared == set(), "say in tests/toggles/effects.py what they change"


def test_nothing_else_is_declared(chosen: dict[str, str]) -> None:
    there = Inventory(config_dir())
    assert declared(FLIPS, there, chosen) - there.keys - there.options.keys() == set()


def test_what_changes_nothing_here_is_tested_elsewhere() -> None:
    for flip in FLIPS:
        assert flip.changes or flip.elsewhere, flip
        if flip.elsewhere:
            path, _, test = flip.elsewhere.partition("::")
            assert re.search(rf"^def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), flip


# A flag that nothing reads is found

CLASS = """\
    from dataclasses import dataclass

    from golf.quantizer.rtn import RoundToNearest


    @dataclass(kw_only=True)
    class Careless(RoundToNearest):
        stochastic: bool
    """
YAML = """\
    defaults: [rtn, _self_]
    _target_: careless.Careless
    stochastic: true
    """


@pytest.mark.slow
def test_a_dead_toggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str]) -> None:
    own = tmp_path / "own"
    (own / "quantizer").mkdir(parents=True)
    (own / "careless.py").write_text(dedent(CLASS))
    (own / "quantizer" / "careless.yaml").write_text(dedent(YAML))
    monkeypatch.syspath_prepend(own)
    there = Inventory(config_dir(), own)
    option, inherited = "quantizer=careless", "careless.Careless.fit_bytes"
    missing = {option, inherited, "careless.Careless.stochastic"}
    assert there.toggles - declared(FLIPS, there, chosen) == missing

    at = QUICK.replace("quantizer.calibration_batches=1", f"quantizer=careless --config-dir={own}")
    flip = Flip("quantizer.stochastic=false", at=at)
    assert there.toggles - declared([*FLIPS, flip], there, chosen) == {option, inherited}
    before, after = golf(tmp_path / "before", *flip.without), golf(tmp_path / "after", *flip.with_it)
    assert changed(before, after) == set()  # so whatever it were to declare would be wrong
    assert "quantized" in after
