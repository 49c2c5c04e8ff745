"""What Hydra has composed, as the rest of golf takes it."""

import re
import sys
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from golf.config.check import check
from golf.config.explain import explain
from golf.config.places import with_absolute_paths
from golf.errors import UserError


def plain(cfg: Any) -> dict[str, Any]:
    """`cfg` as plain dicts and lists with interpolations resolved; raises UserError where one cannot be."""
    try:
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(explain(error)) from error


def checked(cfg: DictConfig, hydra: HydraConf) -> dict[str, Any]:
    """The configuration of a job, with absolute paths. Raises UserError for the first mistake that is found in it."""
    own_folders(hydra)
    config = plain(cfg)
    check(config)
    return with_absolute_paths(config, hydra.runtime.cwd)


def without_hydra(cfg: DictConfig) -> DictConfig:
    """Without the node in which Hydra keeps its own configuration."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def overridden(hydra: HydraConf) -> list[str]:
    """The keys and groups that the command line set."""
    return sorted(re.split("[=@]", override.lstrip("+~"))[0] for override in hydra.overrides.task)


def own_folders(hydra: HydraConf) -> list[str]:
    """The folders of --config-dir, whose classes can be imported from now on."""
    folders = [str(source.path) for source in hydra.runtime.config_sources if source.provider == "command-line"]
    add_to_path(folders)
    return folders


def add_to_path(folders: list[str]) -> None:
    """Make what lies there importable; last, so that it hides nothing that is installed."""
    sys.path += [folder for folder in folders if folder not in sys.path]
