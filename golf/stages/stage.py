"""What a stage of the pipeline is, and running one."""

import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from golf.runtime import dist
from golf.runtime.device import peak_memory, reset_peak_memory
from golf.stages.context import StageContext


class Stage(ABC):
    """Reads files by name from the run directory, writes one there, and returns what came out.

    name: selects it in the configuration's `stages`; part_of: the name of another stage that selects it too, or None;
    reads: names of the files it needs; writes: the file it makes; groups: the root keys of the configuration that its
    result depends on, besides the data. From these and `depends` follows its key in the cache (golf.stages.key).
    when_out_of_memory: what makes it take less (golf.utils.out_of_memory).
    """

    name: ClassVar[str]
    part_of: ClassVar[str | None] = None
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
        """Do the work; the returned JSON object becomes `result` of the stage's report."""


def run_stage(stage: Stage, context: StageContext) -> dict[str, Any]:
    """Run a stage on all ranks; its file is then there for all of them.

    Returns its `result`; `seconds`, those of earlier processes that had a part in it included; and
    `peak_memory_bytes` of this rank.
    """
    reset_peak_memory(context.device)
    started = time.perf_counter()
    result = stage.run(context)
    seconds = context.checkpointer.stage_seconds + time.perf_counter() - started
    context.files.made |= {stage.name, stage.writes}
    dist.barrier()
    return {"seconds": seconds, "peak_memory_bytes": peak_memory(context.device), "result": result}
