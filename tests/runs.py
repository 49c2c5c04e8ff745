"""Real runs for tests: compose a configuration as the launcher does and run the pipeline in this process."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from golf import pipeline
from golf.app import plain
from golf.config.check import check
from golf.paths import config_dir

# Two chunks of TTT, of four sequences each: enough where it does not matter how many tokens are scored.
FEW = ("data.val_tokens=1025", "ttt.chunk_tokens=512")


def composed(*overrides: str) -> dict[str, Any]:
    """The resolved configuration."""
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return plain(compose("config", overrides=list(overrides)))


def run(directory: Path, *overrides: str, overridden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Run `experiment=tiny` with overrides in `directory`; returns its results."""
    directory.mkdir(parents=True, exist_ok=True)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        usual = ["experiment=tiny", "cache=off"]
        cfg = compose("config", overrides=[*usual, *overrides], return_hydra_config=True)
    choices = {key: value for key, value in cfg.hydra.runtime.choices.items() if not key.startswith("hydra/")}
    config = OmegaConf.to_container(OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"]), resolve=True)
    check(config)
    return pipeline.run(config, directory, choices, overridden)
