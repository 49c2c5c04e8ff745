"""Which kernels are chosen, and that torch.compile reads through the choice."""

import golden
import pytest
import torch

from golf.errors import UserError
from golf.kernels import plain
from golf.kernels.choose import choose


def test_the_cpu_has_the_plain_ones():
    assert choose("auto", "cpu") == choose("plain", "cpu") == ("plain", plain)
    for name in ("triton", "quack"):
        with pytest.raises(UserError, match=f"kernels={name} needs a GPU; use kernels=auto"):
            choose(name, "cpu")


def test_a_model_of_plain_kernels_is_one_graph():
    ids = torch.from_numpy(golden.load("forward")["input_ids"])
    model = golden.model()
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    assert compiled(ids, ids).item() == pytest.approx(model(ids, ids).item())
