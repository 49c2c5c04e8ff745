"""Which kernels are chosen, and that torch.compile reads through the choice."""

import golden
import pytest
import torch

from golf.errors import UserError
from golf.kernels.compute import choose_kernels

CPU = torch.device("cpu")


def test_the_cpu_has_the_plain_ones():
    assert choose_kernels("auto", CPU) == choose_kernels("plain", CPU) == "plain"
    for name in ("triton", "quack"):
        with pytest.raises(UserError, match=f"compute.kernels={name} needs a GPU; use compute.kernels=auto"):
            choose_kernels(name, CPU)


@pytest.mark.parametrize("cutlass", [None, "raise RuntimeError('No CTK flavor')"])
def test_quack_without_a_cutlass_is_one_line(monkeypatch, tmp_path, cutlass):
    (tmp_path / "quack.py").touch()
    if cutlass is not None:
        (tmp_path / "cutlass.py").write_text(cutlass)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    with pytest.raises(UserError, match=r"kernels=quack is not installed \(No .*\): pip install 'golf\[hopper\]'; use"):
        choose_kernels("quack", torch.device("cuda"))


@pytest.mark.slow
def test_a_model_of_plain_kernels_is_one_graph():
    ids = torch.from_numpy(golden.load("forward")["input_ids"])
    model = golden.model()
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    assert compiled(ids, ids).item() == pytest.approx(model(ids, ids).item())
