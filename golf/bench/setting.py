"""The setting of a benchmark: a composed configuration, a device and synthetic data."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from golf.app import plain as resolved
from golf.build import build
from golf.config.check import check_component
from golf.config.explain import explain
from golf.data.loader import Loader
from golf.data.tokenizer import ByteTable
from golf.errors import UserError
from golf.evaluation.stream import Stream
from golf.kernels.backend import Backend
from golf.model.gpt import GPT
from golf.paths import config_dir
from golf.runtime.device import peak_memory, reset_peak_memory

Config = Mapping[str, Any]
PLAIN = ("compute.kernels=plain", "compute.attention=sdpa")  # PyTorch's own operations


@dataclass(frozen=True)
class Setting:
    """`config` as configured, and `plain`, the same with PyTorch's own operations; `choices`: the option of each group.
    `directory` is an empty temporary one."""

    overrides: Sequence[str]
    config: Config
    plain: Config
    choices: Mapping[str, str]
    backend: Backend
    repeats: int
    directory: Path

    @classmethod
    def of(cls, overrides: Sequence[str], repeats: int, directory: Path) -> "Setting":
        """Raises UserError if the overrides cannot be composed, or not run on this machine."""
        config, choices = composed(overrides)
        for group, component in config.items():
            if isinstance(component, Mapping) and group != "data":  # bench uses synthetic data
                check_component(group, component)
        backend = build(config["compute"]).open()
        plain, _ = composed([*overrides, *PLAIN])
        return cls(overrides, config, plain, choices, backend, repeats, directory)

    @property
    def device(self) -> torch.device:
        return self.backend.device

    def model(self, config: Config, **changes: Any) -> GPT:
        """The model with random weights from the seed, including output projections, which start at zero."""
        torch.manual_seed(config["seed"])
        with self.device:  # drawing on the device is fast
            model: GPT = build({**config["model"], **changes}, build(config["compute"]).open())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(".proj.weight"):
                    parameter.normal_(std=parameter.size(1) ** -0.5)
        return model

    def tokens(self, count: int) -> np.ndarray:
        """Random tokens (count,) uint16."""
        random = np.random.default_rng(self.config["seed"])
        return random.integers(self.config["model"]["vocab_size"], size=count).astype(np.uint16)

    def loader(self, sequences: int) -> Loader:
        """A loader of about `sequences` sequences in memory."""
        seq_len = self.config["model"]["seq_len"]
        return Loader([self.tokens((sequences + 1) * seq_len + 1)], seq_len, None, "global")

    def micro_batch(self) -> int:
        """Sequences of a training micro-step."""
        trainer = self.config["trainer"]
        return int(max(trainer["batch_tokens"] // trainer["micro_batches"] // self.config["model"]["seq_len"], 1))

    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a training micro-step."""
        ids, targets = self.loader(self.micro_batch()).batch(self.micro_batch())
        return ids.to(self.device), targets.to(self.device)

    def stream(self, targets: int) -> Stream:
        """A validation stream."""
        size = self.config["model"]["vocab_size"]
        table = ByteTable(np.ones(size, np.int16), np.zeros(size, bool), np.zeros(size, bool))
        return Stream.of(self.tokens(targets + 1), table, self.device)

    def now(self) -> float:
        """The clock in seconds, after waiting for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self, work: Callable[[], object], times: int = 1) -> list[float]:
        """Seconds per call of `work` for each repeat, averaged over `times` calls without waiting for the device."""
        found = []
        for _ in range(self.repeats):
            started = self.now()
            for _ in range(times):
                work()
            found.append((self.now() - started) / times)
        return found

    def reset_peak(self) -> None:
        gc.collect()  # unused models must not count
        reset_peak_memory(self.device)

    def peak_gib(self) -> float:
        """Peak memory in GiB: of the GPU since the reset; on the CPU, of the process so far."""
        return peak_memory(self.device) / 2**30


def composed(overrides: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The resolved configuration and the option of each group. Raises UserError for what Hydra cannot compose."""
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
    except Exception as error:
        groups = [path.name for path in config_dir().iterdir() if path.is_dir()]
        raise UserError(" ".join(explain(error, groups=groups).split())) from error
    chosen = {key: option for key, option in cfg.hydra.runtime.choices.items() if not key.startswith("hydra/")}
    return resolved(OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])), chosen
