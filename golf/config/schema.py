"""What may stand at the root of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType

# A mapping that names the class it builds (`_target_`) and holds that class's keyword-only arguments.
Component = NewType("Component", Mapping[str, Any])


@dataclass(kw_only=True)
class Root:
    """The keys of a run. One `Component` per config group; values are in conf/config.yaml and the experiments."""

    seed: int
    stages: list[Literal["train", "quantize", "evaluate", "ttt"]]
    input: str | Path | None
    overwrite: bool
    compute: Component
    data: Component
    model: Component
    optimizer: Component
    trainer: Component
    quantizer: Component
    codec: Component
    evaluation: Component
    ttt: Component
    tracker: Component
    launch: Component
    sweep: Component
    cache: Component
    resume: Component
