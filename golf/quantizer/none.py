"""No quantization: every tensor is stored as float16."""

from typing import TYPE_CHECKING

from golf.artifact import State
from golf.events import Listener
from golf.quantizer.quantizer import Quantizer

if TYPE_CHECKING:
    from golf.data.loader import Loader
    from golf.model.gpt import GPT


class NoQuantizer(Quantizer):
    def quantize(self, model: "GPT", loader: "Loader", events: Listener) -> State:
        return {name: tensor.half().cpu() for name, tensor in model.state_dict().items()}
