"""Warm-up leaves no trace: what is trained after it is what would have been trained without it."""

import pytest
import torch
from runs import run

from golf.data.loader import Loader


@pytest.mark.slow
def test_training_after_a_warm_up_is_training_without_one(tmp_path):
    run(tmp_path / "cold", "stages=[train]")
    run(tmp_path / "warm", "stages=[train]", "trainer.warmup_steps=3")
    cold, warm = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("cold", "warm"))
    for weights in ("raw", "ema"):
        assert cold[weights].keys() == warm[weights].keys()
        assert all(torch.equal(cold[weights][name], warm[weights][name]) for name in cold[weights])


def test_a_copied_loader_goes_its_own_way():
    loader = Loader([torch.arange(5000).numpy()], 16, 1, "global")
    loader.batch(3)
    twin = loader.copy()
    assert twin.shards[0].tokens is loader.shards[0].tokens
    ahead = [twin.batch(4)[0] for _ in range(90)]  # past the end of a round
    assert all(torch.equal(batch, loader.batch(4)[0]) for batch in ahead)
