"""The model of an input run: its checkpoint or artifact determines the model's configuration."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from golf.build import build
from golf.config.check import check
from golf.errors import UserError, excerpt, require
from golf.io.artifact import Quantized, read_artifact
from golf.io.checkpoint import read_checkpoint
from golf.io.run_directory import CHECKPOINT

Shapes = Mapping[str, torch.Size]


def with_model_of(
    path: Path, kind: str, config: Mapping[str, Any], overridden: frozenset[str]
) -> tuple[dict[str, Any], str]:
    """`config` with the model of the checkpoint or artifact (`kind`: its usual name) at `path`, and the SHA-256 of that
    model's tokenizer. Keys that the command line set are kept.

    overridden: what the command line touched, as in {"model.num_loops", "ttt"}: a key, or a group of which another
    option was chosen. Raises UserError if the file's model is not one of the configured class, or if its weights do
    not fit the model that results.
    """
    theirs, tokenizer, shapes = _read(path, kind, config["codec"])
    for key in ("num_layers", "num_loops"):  # each takes time and memory before there is a tensor to count
        claimed = theirs.get(key)
        few = not isinstance(claimed, int) or claimed <= len(shapes)
        require(few, f"{path}: claims model.{key}={claimed}, with {len(shapes)} tensors")
    ours = config["model"]
    theirs.pop("kernels", None)  # of files written when kernels were part of a model
    # A class that a file names is never built unless the configuration names it too.
    kept = [key for key in ours if key == "_target_" or {"model", f"model.{key}"} & overridden]
    model = {**theirs, **{key: ours[key] for key in kept}}
    changed = [f"model.{key}={model[key]}" for key in kept if model[key] != theirs.get(key)]
    merged = {**config, "model": model}
    try:
        check(merged)
    except UserError as error:
        raise UserError(f"{path}: {excerpt(str(error))}") from error
    _check_fit(model, shapes, f"{' '.join(changed) or 'the configured model'} does not fit {path}")
    return merged, tokenizer


def with_seeds_of(report: Mapping[str, Any], config: Mapping[str, Any], overridden: frozenset[str]) -> dict[str, Any]:
    """`config` with the seeds in a training's report, unless the command line set them.

    Calibration reads the first sequences of the training, whose order depends on the seed.
    """
    if {"seed", "data", "data.seed"} & overridden:
        return dict(config)
    trained = report["config"]
    return {**config, "seed": trained["seed"], "data": {**config["data"], "seed": trained["data"]["seed"]}}


def _read(path: Path, kind: str, codec: Mapping[str, Any]) -> tuple[dict[str, Any], str, Shapes]:
    """The model's configuration, the tokenizer's digest and the shapes of the tensors."""
    if kind == CHECKPOINT:
        checkpoint = read_checkpoint(path, "meta")
        shapes = {name: tensor.shape for name, tensor in checkpoint["raw"].items()}
        return dict(checkpoint["model"]), checkpoint["tokenizer_sha256"], shapes
    artifact = read_artifact(path, codec=codec)
    shapes = {name: (x.codes if isinstance(x, Quantized) else x).shape for name, x in artifact.state.items()}
    return artifact.model, artifact.tokenizer_sha256, shapes


@contextmanager
def _of_at_most(tensors: int, complaint: str) -> Iterator[None]:
    """Context manager around building a model of `tensors` tensors, since a file may claim any number of layers.

    Raises UserError as soon as the model has more parameters, and for invalid sizes.
    """
    left = tensors

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        require(left >= 0, f"{complaint}: this model has more than the {tensors} tensors there")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"{complaint}: this model cannot be built ({excerpt(str(error))})") from error
    finally:
        handle.remove()


def _check_fit(model: Mapping[str, Any], shapes: Shapes, complaint: str) -> None:
    with _of_at_most(len(shapes), complaint), torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in build(model).state_dict().items()}
    for name in sorted({*wanted, *shapes}):
        if wanted.get(name) != shapes.get(name):
            there, here = (tuple(found[name]) if name in found else "absent" for found in (shapes, wanted))
            raise UserError(f"{complaint}: {excerpt(name)} is {there} there and {here} in this model")
