"""Batches that are drawn while the last one is computed with."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from golf.data.loader import Loader


class Prefetched:
    """The batches of a loader in its order, each of `sequences` sequences, on the device.

    One is drawn ahead, in a thread: a shard that has to come from the disk holds nobody up. Close it at the end.
    """

    def __init__(self, loader: Loader, sequences: int, device: torch.device):
        self.loader = loader
        self.sequences = sequences
        self.device = device
        self._thread = ThreadPoolExecutor(1)
        self._next = self._thread.submit(self._draw)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Inputs and targets, int64 (sequences, length). Raises what the loader raised."""
        drawn = self._next.result()
        self._next = self._thread.submit(self._draw)
        # From pinned memory the copy waits for nobody and nobody for it.
        ids, targets = (part.to(self.device, non_blocking=True) for part in drawn)
        return ids, targets

    def close(self) -> None:
        self._thread.shutdown()

    def _draw(self) -> tuple[Tensor, ...]:
        parts = self.loader.batch(self.sequences)
        return tuple(part.pin_memory() for part in parts) if self.device.type == "cuda" else parts
