"""The checkpoint: train's output, quantize's input."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from golf.errors import UserError
from golf.io.tensor_file import load_tensors
from golf.utils.atomic import atomic_write


class Checkpoint(TypedDict):
    """The model group's configuration, the tokenizer's digest, the last weights and their average (None without EMA),
    by the names of the model's state."""

    model: Mapping[str, Any]
    tokenizer_sha256: str
    raw: dict[str, Tensor]
    ema: dict[str, Tensor] | None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    with atomic_write(path) as temporary, open(temporary, "wb") as file:  # given a path, PyTorch would store its name
        torch.save(checkpoint, file)


def read_checkpoint(path: Path, device: str) -> Checkpoint:
    """Read a checkpoint onto `device` (`meta`: shapes only) without executing its content.

    Raises UserError if the file is not a checkpoint.
    """
    checkpoint: Checkpoint = load_tensors(path, device, "a checkpoint")
    if not _is_checkpoint(checkpoint):
        raise UserError(f"{path}: is not a checkpoint of golf")
    return checkpoint


def _is_checkpoint(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == Checkpoint.__required_keys__
        and isinstance(value["model"], Mapping)
        and isinstance(value["tokenizer_sha256"], str)
        and _are_tensors(value["raw"])
        and (value["ema"] is None or _are_tensors(value["ema"]))
    )


def _are_tensors(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
