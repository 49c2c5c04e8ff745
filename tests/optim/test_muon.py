"""Muon against the record's script, and what Newton–Schulz promises."""

import golden
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.optim.muon import Muon, newton_schulz

MUON = golden.load("muon")


def test_four_steps():
    parameters = [torch.nn.Parameter(torch.from_numpy(MUON[f"p{i}_0"])) for i in range(4)]
    muon = Muon(parameters, lr=0.02, momentum=0.95, weight_decay=0.085, ns_steps=5, ns_dtype=torch.bfloat16)
    for step in range(1, 5):
        for i, parameter in enumerate(parameters):
            parameter.grad = torch.from_numpy(MUON[f"g{i}_{step}"])
        muon.step()
        for i, parameter in enumerate(parameters):
            expected = torch.from_numpy(MUON[f"p{i}_{step}"])
            torch.testing.assert_close(parameter.data, expected, rtol=0, atol=1e-4)


def test_newton_schulz_in_bfloat16():
    x = newton_schulz(torch.from_numpy(MUON["ns_in"]), steps=5, dtype=torch.bfloat16)
    assert x.dtype == torch.bfloat16
    torch.testing.assert_close(x.float(), torch.from_numpy(MUON["ns_out"]), rtol=0, atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 2**31))
def test_singular_values_land_near_one(rows, cols, seed):
    g = torch.randn(2, rows, cols, generator=torch.Generator().manual_seed(seed))
    u, s, v = torch.linalg.svd(g, full_matrices=False)
    g = u @ torch.diag_embed(0.3 + s / s.amax(-1, keepdim=True)) @ v  # well conditioned: five steps reach every value
    values = torch.linalg.svdvals(newton_schulz(g, steps=5, dtype=torch.float32))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_a_batch_is_its_matrices_one_by_one():
    g = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    together = newton_schulz(g, steps=5, dtype=torch.float32)
    alone = torch.stack([newton_schulz(matrix, steps=5, dtype=torch.float32) for matrix in g])
    torch.testing.assert_close(together, alone)


def test_a_zero_gradient_only_decays():
    p = torch.nn.Parameter(torch.ones(4, 6))
    p.grad = torch.zeros(4, 6)
    Muon([p], lr=0.1, momentum=0.9, weight_decay=0.5, ns_steps=5, ns_dtype=torch.bfloat16).step()
    torch.testing.assert_close(p.data, torch.full((4, 6), 1 - 0.1 * 0.5))
