"""The stages of the pipeline, in their order, and the names that select them."""

from collections.abc import Sequence

from golf.stages.evaluate import Evaluate
from golf.stages.quantize import Quantize
from golf.stages.stage import Stage
from golf.stages.train import Train
from golf.stages.ttt import TTT

STAGES: tuple[Stage, ...] = (Train(), Quantize(), Evaluate(), TTT())


def stages_of(names: Sequence[str]) -> list[Stage]:
    """The stages that these names select."""
    return [stage for stage in STAGES if stage.name in names or stage.part_of in names]


def names_of(stages: Sequence[Stage]) -> list[str]:
    """The fewest names that select these stages, as stages_of returned them."""
    names = [stage.name for stage in stages]
    return [stage.name for stage in stages if stage.part_of not in names]
