"""The key of a stage's result: a digest of all that it depends on."""

import hashlib
import json
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from golf.build import module_of
from golf.kernels.backend import own_modules
from golf.utils.import_closure import closure

if TYPE_CHECKING:  # stages are what this is about; they do not know their keys
    from golf.stages.stage import Stage


def stage_key(
    stage: "Stage",
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    more: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> str:
    """Digest of the stage's part of the configuration, the digests of the files it reads, of the data and of the code
    that it uses, the kind of device, the number of ranks, the implementations of attention and of the other
    parts, and PyTorch's version.

    inputs: SHA-256 by name. more: what Stage.depends returned. facts: the job's provenance.
    """
    depends = {
        "stage": stage.name,
        "config": {group: config[group] for group in stage.groups},
        "inputs": dict(inputs),
        "more": dict(more),
        "data": facts["data"],
        "code": code_digest(stage, config, own_modules(facts)),
        "device": facts["device"]["name"],
        "ranks": facts["ranks"],
        "attention": facts["attention"],
        "kernels": facts["kernels"],
        "torch": facts["versions"]["torch"],
    }
    return _digest(depends)


def code_digest(stage: "Stage", config: Mapping[str, Any], more: Set[str] = frozenset()) -> str:
    """Digest of the code that the stage uses with this configuration, parts of the user's own included. more: names of
    modules besides."""
    parts = (config[group] for group in stage.groups)
    modules = {type(stage).__module__, *(module_of(part) for part in parts if isinstance(part, Mapping)), *more}
    return _digest(closure(modules, lambda module: module.partition(".")[0] == "golf"))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
