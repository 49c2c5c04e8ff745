"""The model that an input file holds: checkpoints and artifacts say which, a configuration need not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from golf.artifact import Quantized, read_artifact
from golf.build import build
from golf.checkpoint import read_checkpoint
from golf.config.check import check
from golf.errors import UserError
from golf.run_files import CHECKPOINT

Shapes = Mapping[str, torch.Size]


def with_model_of(path: Path, config: Mapping[str, Any], overridden: frozenset[str]) -> dict[str, Any]:
    """`config` with the model of the checkpoint or artifact at `path`; keys that the command line set stay as they are.

    overridden: what the command line touched, as in {"model.num_loops", "ttt"}: a key, or a group of which another
    option was chosen. Raises UserError if the file's model is not one of the configured class, or if its weights do
    not fit the model that results.
    """
    theirs, shapes = _read(path, config["codec"])
    ours = config["model"]
    # A class that a file names is never built unless the configuration names it too.
    kept = [key for key in ours if key == "_target_" or {"model", f"model.{key}"} & overridden]
    model = {**theirs, **{key: ours[key] for key in kept}}
    changed = [f"model.{key}={model[key]}" for key in kept if model[key] != theirs.get(key)]
    merged = {**config, "model": model}
    try:
        check(merged)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    _check_fit(model, shapes, f"{' '.join(changed) or 'the configured model'} does not fit {path}")
    return merged


def _read(path: Path, codec: Mapping[str, Any]) -> tuple[dict[str, Any], Shapes]:
    """The model's configuration and the shapes of its tensors."""
    if path.name == CHECKPOINT:
        checkpoint = read_checkpoint(path, "meta")
        return dict(checkpoint["model"]), {name: tensor.shape for name, tensor in checkpoint["raw"].items()}
    artifact = read_artifact(path, codec=codec)
    state = artifact.state.items()
    return artifact.model, {name: (x.codes if isinstance(x, Quantized) else x).shape for name, x in state}


def _check_fit(model: Mapping[str, Any], shapes: Shapes, complaint: str) -> None:
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in build(model).state_dict().items()}
    for name in sorted({*wanted, *shapes}):
        if wanted.get(name) != shapes.get(name):
            there, here = (tuple(found[name]) if name in found else "absent" for found in (shapes, wanted))
            raise UserError(f"{complaint}: {name} is {there} there and {here} in this model")
