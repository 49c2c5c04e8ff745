"""The configuration that is shipped: whatever may be chosen composes and passes the check."""

import tomllib
from collections.abc import Iterator
from typing import get_type_hints

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from golf.app import plain
from golf.config.check import check
from golf.config.explain import explain
from golf.config.schema import Component, Root
from golf.paths import PACKAGE, config_dir

CONF = config_dir()
OPTIONS = sorted(f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml"))
EXPERIMENTS = [option for option in OPTIONS if option.startswith("experiment=")]
CHOICES = [option for option in OPTIONS if option not in EXPERIMENTS]


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def assert_sound(*overrides: str) -> None:
    cfg = compose("config", overrides=list(overrides))
    for key in OmegaConf.missing_keys(cfg):  # ???: what only the user can know, such as the path of the data
        OmegaConf.update(cfg, key, "given")
    check(plain(cfg))


def test_groups_are_those_of_the_schema() -> None:
    groups = {path.name for path in CONF.iterdir() if path.is_dir()} - {"hydra", "experiment"}
    assert groups == {key for key, kind in get_type_hints(Root).items() if kind is Component}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment(experiment: str) -> None:
    assert_sound(experiment)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_with_every_option(experiment: str, choice: str) -> None:
    assert_sound(experiment, choice)


@pytest.mark.parametrize(
    ("option", "plugins", "extra"),
    [
        ("launcher=parallel", "joblib", "joblib"),
        ("launcher=local", "submitit_local", "submitit"),
        ("launcher=slurm", "submitit_slurm", "submitit"),
        ("launcher=ray_cluster", "ray", "ray"),
        ("sweeper=search", "optuna", "optuna"),
        ("launcher=joblib", "joblib", "joblib"),
    ],
)
def test_an_option_without_its_plugin_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, option: str, plugins: str, extra: str
) -> None:
    compose("config", overrides=[f"hydra/{option}"])
    group = option.partition("=")[0]
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"][group], f"{plugins}.yaml")
    with pytest.raises(MissingConfigException) as error:
        compose("config", overrides=[f"hydra/{option}"])
    assert explain(error.value) == f"hydra/{group}/{plugins} is a plugin's: pip install 'golf[{extra}]'"
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert f"hydra-{extra}-" in "".join(project["optional-dependencies"][extra])
