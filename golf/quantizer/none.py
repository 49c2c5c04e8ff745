"""No quantization: every tensor is stored as float16."""

from golf.data.loader import Loader
from golf.events import Listener
from golf.io.artifact import State
from golf.model.gpt import GPT
from golf.quantizer.quantizer import Quantizer, float16_state


class NoQuantizer(Quantizer):
    def quantize(self, model: GPT, loader: Loader, events: Listener) -> State:
        return float16_state(model)
