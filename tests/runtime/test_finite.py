"""What is not finite is named, the first of it; what is finite passes, in any type."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from golf.errors import Diverged
from golf.runtime.finite import require_finite

TYPES = [torch.float16, torch.bfloat16, torch.float32]


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from([None, math.nan, math.inf, -math.inf])), min_size=1))
def test_the_first_bad_tensor_is_named(drawn):
    tensors = {}
    for i, (dtype, value) in enumerate(drawn):
        tensors[f"tensor {i}"] = torch.full((3, 5), 6e4, dtype=dtype)  # in float16 its norm would overflow
        if value is not None:
            tensors[f"tensor {i}"][1, 2] = value
    bad = [i for i, (_, value) in enumerate(drawn) if value is not None]
    if not bad:
        require_finite(tensors, "mend it")
        return
    with pytest.raises(Diverged, match=f"^tensor {bad[0]} is not finite; mend it$") as caught:
        require_finite(tensors, "mend it")
    assert caught.value.code == 3
