"""The stages of the pipeline, in their order."""

from golf.stages.evaluate import Evaluate
from golf.stages.quantize import Quantize
from golf.stages.stage import Stage
from golf.stages.train import Train
from golf.stages.ttt import TTT

STAGES: tuple[Stage, ...] = (Train(), Quantize(), Evaluate(), TTT())
