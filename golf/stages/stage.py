"""What a stage of the pipeline is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from golf.build import build
from golf.data.dataset import Dataset
from golf.data.loader import Loader
from golf.data.shard import Shard
from golf.evaluation.ledger import Ledger
from golf.evaluation.sliding import MakeProbe
from golf.evaluation.stream import Score, Stream
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

    `choices` are the options of the config groups; `stream` is the validation stream, on `device`; `data_digests` is
    what Dataset.digests returned; `backend` computes; `probe` tries a model while it is
    scored; `room` is how many bytes the code leaves for the artifact.
    """

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    files: RunFiles
    dataset: Dataset
    data_digests: Mapping[str, Any]
    stream: Stream
    backend: Backend
    probe: MakeProbe | None
    room: int
    events: Listener
    checkpointer: NoCheckpointer

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


def score_all(ledger: Ledger, model: GPT, name: str, events: Listener) -> Score:
    """The score of the whole stream by a model that stays as it is; `name` is that of the progress."""
    ledger.score(model, ledger.windows, lambda done: events.progress(name, done, ledger.num_targets))
    score = ledger.close()
    assert score is not None  # there is a target in every stream
    return score


class Stage(ABC):
    """Takes files by name from the run directory, puts one file there, and says what came out.

    chosen_by: the word in the configuration's `stages` that selects it; reads: names of the files it needs; writes: the
    file it makes; groups: the root keys of the configuration that its result depends on, besides the data. From these
    and `depends` follows its key in the cache (golf.stages.key). when_out_of_memory: what makes it take less
    (golf.utils.out_of_memory).
    """

    name: ClassVar[str]
    chosen_by: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    writes: ClassVar[str | None]
    groups: ClassVar[tuple[str, ...]]
    when_out_of_memory: ClassVar[tuple[str, ...]]

    def depends(self, context: StageContext) -> dict[str, Any]:
        """JSON values, beside the groups and the data, that its result depends on."""
        return {}

    @abstractmethod
    def check(self, context: StageContext) -> None:
        """Raise UserError for what can be seen to go wrong before any stage has run."""

    @abstractmethod
    def run(self, context: StageContext) -> dict[str, Any]:
        """Do the work; the returned JSON object becomes `result` of the stage's record."""
