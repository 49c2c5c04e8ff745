"""The check of a composed configuration against signatures, in one process and without Hydra."""

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import pytest

from golf.config.check import check
from golf.config.schema import Component, Root
from golf.errors import UserError

if TYPE_CHECKING:
    from somewhere import Model


class Empty:
    """Nothing to configure."""


class Written:
    """As a user may write it: quoted annotations, a positional part that only type checkers can read."""

    def __init__(
        self,
        model: "Model",
        *,
        epochs: "int",
        lr: float | None,
        hash_embed: bool,
        mode: "Literal['fast', 'slow']",
        widths: list[int],
        anything,
        optional: int = 3,
        **rest: Any,
    ):
        raise AssertionError("checking builds nothing")


@dataclass(kw_only=True)
class Base:
    bits: int
    clip: dict[str, float]


@dataclass(kw_only=True)
class Derived(Base):
    damping: float


class Unreadable:
    def __init__(self, *, path: bytes): ...


def function(*, bits: int) -> None: ...


HERE = f"{__name__}."
WRITTEN = {
    "_target_": f"{HERE}Written",
    "epochs": 3,
    "lr": 1,
    "hash_embed": True,
    "mode": "fast",
    "widths": [1, 2],
    "anything": {"a": [None]},
}
GOOD: dict[str, Any] = {
    **{key: {"_target_": f"{HERE}Empty"} for key, kind in get_type_hints(Root).items() if kind is Component},
    "ttt": WRITTEN,
    "quantizer": {"_target_": f"{HERE}Derived", "bits": 6, "clip": {"matrix": 12.85}, "damping": 0.01},
    "seed": 1337,
    "stages": ["train", "evaluate"],
    "input": None,
    "overwrite": False,
}


def changed(path: str, *value: Any) -> dict[str, Any]:
    """GOOD with the key at `path` set, or deleted if no value is given."""
    config = deepcopy(GOOD)
    *parents, key = path.split(".")
    parent = config
    for name in parents:
        parent = parent[name]
    if value:
        parent[key] = value[0]
    else:
        del parent[key]
    return config


def test_a_good_configuration_passes() -> None:
    check(GOOD)
    check(changed("ttt.lr", None))
    check(changed("ttt.lr", 1e-3))
    check(changed("ttt.optional", 4))
    check(changed("stages", []))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        # unknown
        (changed("sed", 3), "sed: no such key; did you mean seed? (keys: cache, codec, compute, data"),
        (changed("_target_", "x"), "_target_: no such key (keys: cache"),
        (changed("zzz", 3), "zzz: no such key (keys: cache"),
        (
            changed("ttt.hash_embedd", True),
            "ttt.hash_embedd: no such key; did you mean hash_embed? "
            "(keys: anything, epochs, hash_embed, lr, mode, optional, widths)",
        ),
        (changed("ttt.model", "x"), "ttt.model: no such key; did you mean mode?"),  # given by the stage, not by YAML
        (changed("ttt.rest", {}), "ttt.rest: no such key"),
        (changed("quantizer.dampin", 1), "quantizer.dampin: no such key; did you mean damping? (keys: bits, clip, da"),
        (changed("codec.level", 9), "codec.level: no such key (keys: none)"),
        (changed("codec.1", 9), "codec.1: no such key (keys: none)"),
        # missing
        (changed("seed"), "seed: missing; every run needs it"),
        (changed("codec"), "codec: missing; every run needs it"),
        (changed("ttt.epochs"), f"ttt.epochs: missing; {HERE}Written needs it"),
        (changed("quantizer.bits"), f"quantizer.bits: missing; {HERE}Derived needs it"),
        (changed("ttt.epochs", "???"), "ttt.epochs: must be given; add ttt.epochs=VALUE to the command line"),
        (changed("input", "???"), "input: must be given; add input=VALUE to the command line"),
        (changed("ttt.anything", [{"a": "???"}]), "ttt.anything[0].a: must be given"),
        # wrong type
        (changed("seed", True), "seed: expected int, got true"),
        (changed("seed", 1.0), "seed: expected int, got 1.0"),
        (
            changed("stages", ["train", "foo"]),
            "stages: expected list of train, quantize, evaluate or ttt, got ['train', 'f",
        ),
        (changed("stages", "train"), "stages: expected list of train"),
        (changed("ttt.epochs", "abc"), "ttt.epochs: expected int, got 'abc'"),
        (changed("ttt.epochs", None), "ttt.epochs: expected int, got null"),
        (changed("ttt.lr", "abc"), "ttt.lr: expected float or null, got 'abc'"),
        (changed("ttt.lr", float("nan")), "ttt.lr: expected float or null, got nan, which is not finite"),
        (changed("ttt.hash_embed", 1), "ttt.hash_embed: expected bool, got 1"),
        (changed("ttt.mode", "fst"), "ttt.mode: expected fast or slow, got 'fst'"),
        (changed("ttt.widths", [1, "2"]), "ttt.widths: expected list of int, got [1, '2']"),
        (changed("quantizer.clip", {"matrix": "x"}), "quantizer.clip: expected mapping of str to float, got {'matrix"),
        # what cannot be built
        (changed("codec", None), "codec: no option is chosen; choose one with codec=OPTION"),
        (changed("codec", "brotli"), "codec: expected a mapping with a _target_, got 'brotli'"),
        (changed("codec", {"level": 9}), "codec: expected a mapping with a _target_, got {'level': 9}"),
        (changed("codec._target_", "golf.nope.X"), "codec._target_: golf.nope.X cannot be imported (No module named"),
        (changed("codec._target_", "golf.errors.X"), "codec._target_: golf.errors.X cannot be imported (module 'golf"),
        (changed("codec._target_", "brotli"), "codec._target_: brotli cannot be imported (Empty module name)"),
        (changed("codec._target_", f"{HERE}function"), f"codec._target_: {HERE}function is not a class"),
        (changed("codec._target_", "???"), "codec._target_: must be given"),
        (
            changed("codec", {"_target_": f"{HERE}Unreadable", "path": "x"}),
            "codec.path: a configuration cannot be checked against the annotation <class 'bytes'>",
        ),
    ],
)
def test_each_mistake_is_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        check(config)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_root_is_told_before_its_components() -> None:
    """A mistyped root key is found without importing anything."""
    config = changed("codec._target_", "golf.nope.X") | {"sed": 3}
    with pytest.raises(UserError, match="sed: no such key"):
        check(config)
