"""Draws the next batch while the last one is being used."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from golf.data.loader import Loader, inputs_and_targets


class Prefetched:
    """The batches of a loader in its order, each of `sequences` sequences, on the device.

    One batch is drawn ahead in a thread, so that training does not wait for the disk. Close it at the end.
    """

    def __init__(self, loader: Loader, sequences: int, device: torch.device):
        self.loader = loader
        self.sequences = sequences
        self.device = device
        self._thread = ThreadPoolExecutor(1)
        self._next = self._thread.submit(self._draw)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets, int64 (sequences, length). Raises the loader's errors."""
        batch = inputs_and_targets(self._next.result().to(self.device, non_blocking=True))
        self._next = self._thread.submit(self._draw)  # last, so that the threads do not compete for the interpreter
        return batch

    def state_dict(self) -> dict[str, Any]:
        """The batch that is drawn ahead, and the loader's state after it."""
        return {"ahead": self._next.result(), "loader": self.loader.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue with the saved next batch."""
        self._next.result()
        self.loader.load_state_dict(state["loader"])
        self._next = Future()
        self._next.set_result(state["ahead"])

    def close(self) -> None:
        self._thread.shutdown()

    def _draw(self) -> Tensor:
        """Draw into pinned memory, from which the copy to a GPU is asynchronous."""
        rows = self.loader.rows(self.sequences)
        return rows.pin_memory() if self.device.type == "cuda" else rows
