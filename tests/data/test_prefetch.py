"""Batches drawn ahead are the loader's own, and so are its errors."""

import threading

import numpy as np
import pytest
import torch

from golf.data.loader import Loader
from golf.data.prefetch import Prefetched

CPU = torch.device("cpu")


def loader() -> Loader:
    shards = [np.random.default_rng(i).integers(300, size=200).astype(np.uint16) for i in range(2)]
    return Loader(shards, 16, seed=3, order="global")


def test_the_same_batches_in_the_same_order():
    expected, batches = loader(), Prefetched(loader(), 3, CPU)
    for _ in range(20):  # beyond the shards' first round
        for found, right in zip(batches.batch(), expected.batch(3), strict=True):
            assert torch.equal(found, right)
    batches.close()


def test_one_is_drawn_while_the_last_is_computed_with():
    drawn, asked = threading.Event(), []

    class Watched:
        def rows(self, sequences: int):
            asked.append(threading.current_thread())
            if len(asked) == 2:
                drawn.set()
            return torch.zeros(1, 2)

    batches = Prefetched(Watched(), 1, CPU)
    batches.batch()
    assert drawn.wait(10)  # nobody has asked for the second one yet
    batches.close()
    assert threading.current_thread() not in asked


def test_loader_errors_are_raised_when_the_batch_is_requested():
    class Broken:
        def rows(self, sequences: int):
            raise OSError("the disk is gone")

    batches = Prefetched(Broken(), 1, CPU)
    with pytest.raises(OSError, match="the disk is gone"):
        batches.batch()
    batches.close()
