"""What Hydra and OmegaConf have to say about a configuration that they cannot compose, in few words."""

import re
import sys
from collections.abc import Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from golf.config.names import no_such

# What the plugins of Hydra bring that come as extras of this package.
EXTRAS = {
    "hydra/launcher/joblib": "joblib",
    "hydra/launcher/submitit_local": "submitit",
    "hydra/launcher/submitit_slurm": "submitit",
    "hydra/launcher/ray": "ray",
    "hydra/sweeper/optuna": "optuna",
}


def explain(error: BaseException, groups: Iterable[str] = ()) -> str:
    """What is wrong, where, and the nearest valid name.

    `groups` are the config groups: Hydra takes a mistyped one (`quantiser=gptq`) for a key at the root.
    """
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        path, keys = str(cause.full_key), {str(key) for key in cause.parent_node} - {"_target_"}
        return no_such("key", path, str(cause.key), keys if "." in path else keys.union(groups))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file in EXTRAS:
        return f"{error.missing_cfg_file} is a plugin's: pip install 'golf[{EXTRAS[error.missing_cfg_file]}]'"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return no_such("option", f"{group}={option}", option, error.options)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {_without_advice(error)}"
    if isinstance(error, OmegaConfBaseException):
        return f"{error.full_key}: {_without_advice(error)}" if error.full_key else _without_advice(error)
    if isinstance(error, HydraException):
        if unknown := re.match(r"(In '.+': )?Could not override '(.+)'\. No match", str(error)):
            return no_such("group", f"{unknown[1] or ''}override {unknown[2]}", unknown[2], groups)
        return f"{_without_advice(error)} {explain(cause) if isinstance(cause, OmegaConfBaseException) else ''}"
    if str(error).startswith("Config group override must be") and (override := _no_name(groups)):
        return f"{override}: a config group takes the name of one of its options; python -m golf --help lists them"
    if isinstance(error, OSError) and error.filename:
        return f"the run directory {error.filename} cannot be made ({error.strerror}); give another hydra.run.dir"
    return f"{error or type(error).__name__} (command line: {' '.join(sys.argv[1:])})"


def _no_name(groups: Iterable[str]) -> str | None:
    """The first override on the command line that gives a group a number, a truth value or null."""
    for argument in sys.argv[1:]:
        if argument.lstrip("+").partition("=")[0] in groups:
            value = OverridesParser.create().parse_override(argument).value()
            if not isinstance(value, str | list):
                return argument
    return None


def _without_advice(error: Exception) -> str:
    """The message up to the paragraphs about where Hydra looked, what else to read, and OmegaConf's inner types."""
    return re.split("Config search path:|See https:|full_key:", str(error))[0]
