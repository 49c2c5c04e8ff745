"""Work with a model that repeats on a GPU is captured once, as a CUDA graph, which the host launches as one thing."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Model(Protocol):
    """What a graph depends on: it replays the order of layers that was captured."""

    recurrent: bool

    def parameters(self) -> Iterator[nn.Parameter]: ...

    @property
    def kernels(self) -> Any: ...


class CudaGraphed:
    """A function of a model and of tensors that is run the first time it meets their shapes, captured the second time,
    and replayed from then on. What it returns lies in memory that the next call overwrites.

    On the CPU, and for a compiled model, it is just called.
    """

    def __init__(self, model: Model, function: Callable[..., Any], device: torch.device):
        self.model = model
        self.function = function
        self.device = device
        self._seen: set[Hashable] = set()
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, list[Tensor], Any]] = {}
        self._pool: Any = None

    def __call__(self, *inputs: Tensor) -> Any:
        if self.is_captured():
            return self._replay(inputs)
        return self.function(self.model, *inputs)

    def is_captured(self) -> bool:
        return self.device.type == "cuda" and not self.model.kernels.COMPILED

    def _replay(self, inputs: tuple[Tensor, ...]) -> Any:
        kind = (self._place(), *[(tensor.shape, tensor.dtype) for tensor in inputs])
        if kind not in self._seen:
            self._seen.add(kind)  # kernels are compiled, libraries choose theirs
            return self.function(self.model, *inputs)
        if kind not in self._graphs:
            self._graphs[kind] = self._capture(inputs)
        graph, own, output = self._graphs[kind]
        for mine, given in zip(own, inputs, strict=True):
            mine.copy_(given)
        graph.replay()
        return output

    def _place(self) -> Hashable:
        """What a graph holds for: the order of layers, and where in memory weights and gradients are."""
        tensors = [tensor for parameter in self.model.parameters() for tensor in (parameter, parameter.grad)]
        return self.model.recurrent, *[None if tensor is None else tensor.data_ptr() for tensor in tensors]

    def _capture(self, inputs: tuple[Tensor, ...]) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Any]:
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()  # of all: no two run at once
        torch.cuda.empty_cache()  # the capture allocates again what running it took
        own = [tensor.clone() for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        # Other threads may do meanwhile what a capture forbids: one draws the next batch into pinned memory.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = self.function(self.model, *own)
        return graph, own, output
