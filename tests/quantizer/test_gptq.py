"""GPTQ against the record's script, and what holds for any matrix."""

import golden
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golf.kernels import plain
from golf.quantizer.gptq import gptq_codes
from golf.quantizer.quantizer import round_to_codes, row_scales

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
    codes = gptq_codes(weight, hessian, scale, bits, block_size=128, damping=0.01, kernels=plain)
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
    codes = gptq_codes(weight, hessian, scale, bits, block_size, damping=0.01, kernels=plain)
    limit = 2 ** (bits - 1) - 1
    assert codes.abs().max() <= limit
    assert torch.equal(codes, codes.round())
    assert not codes[0].any()
    assert not codes[:, 0].any()
    whole = gptq_codes(weight, hessian, scale, bits, cols, damping=0.01, kernels=plain)
    assert (codes != whole).float().mean() <= 0.1  # rounding may flip a code near the middle of two


def test_identity_hessian_is_round_to_nearest():
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    scale = row_scales(weight, 6, 8.0).float()
    codes = gptq_codes(weight, torch.eye(12), scale, 6, 4, damping=0.01, kernels=plain)
    assert torch.equal(codes, round_to_codes(weight, scale[:, None], 6))
