"""GPTQ against the record's script, and what holds for any matrix."""

import math

import golden
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.errors import Diverged
from golf.kernels import plain
from golf.kernels.rounding import round_to_codes
from golf.quantizer.gptq import factorise, gptq_codes
from golf.quantizer.quantizer import row_scales

GPTQ = {name: torch.from_numpy(value) if value.ndim else float(value) for name, value in golden.load("gptq").items()}


def proxy_error(weight, codes, scale, hessian):
    difference = weight - codes * scale[:, None]
    return ((difference @ hessian) * difference).sum().item()


@pytest.mark.parametrize(("bits", "clip"), [(6, 12.85), (8, 20.0)])
def test_golden(bits, clip):
    weight, hessian = GPTQ["W"], GPTQ["H"]
    scale = row_scales(weight, bits, clip)
    assert torch.equal(scale, GPTQ[f"scale_int{bits}"])
    scale = scale.float()
    codes = gptq_codes(weight, hessian, scale, bits, block_size=128, damping=0.01, kernels=plain)[0]
    difference = (codes - GPTQ[f"Q_int{bits}"].float()).abs()
    assert difference.max() <= 1
    assert (difference == 0).float().mean() >= 0.999
    assert proxy_error(weight, codes, scale, hessian) == pytest.approx(GPTQ[f"proxy_err_gptq_int{bits}"], rel=1e-3)
    nearest = round_to_codes(weight, scale[:, None], bits)
    assert proxy_error(weight, nearest, scale, hessian) == pytest.approx(GPTQ[f"proxy_err_rtn_int{bits}"], rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(2, 40), st.integers(2, 8), st.integers(1, 16), st.integers(0, 2**31))
def test_codes_fit_and_block_size_does_not_matter(rows, cols, bits, block_size, seed):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, cols, generator=generator)
    weight[0] = 0  # a row of zeros: scale 0, codes 0
    x = torch.randn(4 * cols, cols, generator=generator)
    x[:, 0] = 0  # a column that no input reaches
    hessian = x.T @ x
    scale = row_scales(weight, bits, 4.0).float()
    codes = gptq_codes(weight, hessian, scale, bits, block_size, damping=0.01, kernels=plain)[0]
    limit = 2 ** (bits - 1) - 1
    assert codes.abs().max() <= limit
    assert torch.equal(codes, codes.round())
    assert not codes[0].any()
    assert not codes[:, 0].any()
    whole = gptq_codes(weight, hessian, scale, bits, cols, damping=0.01, kernels=plain)[0]
    assert (codes != whole).float().mean() <= 0.1  # rounding may flip a code near the middle of two


def test_identity_hessian_is_round_to_nearest():
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    scale = row_scales(weight, 6, 8.0).float()
    codes = gptq_codes(weight, torch.eye(12), scale, 6, 4, damping=0.01, kernels=plain)[0]
    assert torch.equal(codes, round_to_codes(weight, scale[:, None], 6))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(20, 40), st.integers(-12, -8), st.integers(0, 2**31))
def test_damping_is_raised_tenfold_until_it_is_enough(rank, cols, exponent, seed):
    x = torch.randn(rank, cols, generator=torch.Generator().manual_seed(seed))
    hessian, damping = x.T @ x, 10.0**exponent
    order, upper, raised = factorise(hessian, damping)
    steps = round(math.log10(raised / damping))
    assert 0 < steps < 12
    assert raised == damping * 10**steps
    for one, other in zip(factorise(hessian, raised), (order, upper, raised), strict=True):
        assert one == other if isinstance(one, float) else torch.equal(one, other)
    assert factorise(hessian, raised / 10)[2] > raised / 2
    assert upper.isfinite().all()


def test_damping_that_is_enough_stays():
    assert factorise(GPTQ["H"], 0.01)[2] == 0.01


def test_an_inverse_that_overflows_ends_it():
    with pytest.raises(Diverged, match="Hessian cannot be factorised with a damping of 10;"):
        factorise(1e-40 * torch.eye(3), 0.01)
