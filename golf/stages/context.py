"""What a stage works with. The framework and the packed script open it by the same function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golf.build import build
from golf.data.dataset import Dataset
from golf.data.loader import Loader
from golf.data.shard import Shard
from golf.evaluation.sliding import MakeProbe
from golf.evaluation.stream import Stream
from golf.events import Listener
from golf.io.artifact import Artifact, read_artifact
from golf.io.run_directory import ARTIFACT, RunFiles
from golf.kernels.backend import Backend
from golf.model.gpt import GPT
from golf.resume.checkpointer import NoCheckpointer
from golf.runtime import dist


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage works with.

    data_digests: as Dataset.digests returns them, the tokenizer's at least. stream: the validation stream, on the
    backend's device. account: its bytes (golf.data.accounting). room: bytes that the code leaves for the artifact.
    probe: tests a model for causality and normalisation while it is scored; None for no test.
    """

    config: Mapping[str, Any]
    files: RunFiles
    dataset: Dataset
    data_digests: Mapping[str, Any]
    stream: Stream
    account: Mapping[str, Any]
    backend: Backend
    room: int
    events: Listener
    probe: MakeProbe | None = None
    checkpointer: NoCheckpointer = field(default_factory=NoCheckpointer)

    @property
    def device(self) -> torch.device:
        return self.backend.device

    def build(self, group: str, *inputs: Any) -> Any:
        """The component that the configuration names for a group."""
        return build(self.config[group], *inputs)

    def loader(self) -> Loader:
        """A fresh loader of this rank's training sequences, at the first one."""
        data = self.dataset
        shards = [Shard(file) for file in data.train_files]
        seq_len = self.config["model"]["seq_len"]
        return Loader(shards, seq_len, data.seed, data.order, dist.rank(), dist.world_size())

    def model_shape(self) -> GPT:
        """The configured model without memory for its weights: for checks."""
        with torch.device("meta"):
            model: GPT = self.build("model", self.backend)
        return model

    def new_model(self) -> GPT:
        """The configured model on the device, at its initial weights."""
        model: GPT = self.build("model", self.backend).to(self.device)
        return model

    def read_artifact(self) -> Artifact:
        """The artifact to score."""
        return read_artifact(self.files.get(ARTIFACT), codec=self.config["codec"])

    def load_model(self, state: Mapping[str, torch.Tensor]) -> GPT:
        """The configured model, recurrent, with a copy of the given weights on the device."""
        model = self.model_shape()
        types = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        on_device = {name: tensor.to(self.device, types[name], copy=True) for name, tensor in state.items()}
        model.load_state_dict(on_device, assign=True)
        return model


def open_context(
    *,
    config: Mapping[str, Any],
    dataset: Dataset,
    backend: Backend,
    stream_account: Callable[[Path, np.ndarray, np.ndarray], Mapping[str, Any]],
    **others: Any,
) -> StageContext:
    """Read the validation stream and account for its bytes, on rank 0 for all.

    stream_account: golf.data.accounting.stream_account, or one that remembers what that returned. others: the
    remaining fields of StageContext. Raises Unexplained if the bytes that are counted are not those of the text.
    """
    tokens = dataset.validation(config["model"]["seq_len"])
    stream = Stream.of(tokens, dataset.byte_table, backend.device)
    account = stream_account(dataset.tokenizer, tokens, stream.target_bytes) if dist.is_main() else None
    return StageContext(
        config=config,
        dataset=dataset,
        backend=backend,
        stream=stream,
        account=dist.broadcast_object(account),
        **others,
    )
