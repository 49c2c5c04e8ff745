"""Which kernels are chosen, and that torch.compile reads through the choice."""

import golden
import pytest
import torch

from golf.errors import UserError
from golf.kernels import choose as choices
from golf.kernels import plain
from golf.kernels.choose import choose_kernels


def test_the_cpu_has_the_plain_ones():
    assert choose_kernels("auto", "cpu") == choose_kernels("plain", "cpu") == ("plain", plain)
    for name in ("triton", "quack"):
        with pytest.raises(UserError, match=f"kernels={name} needs a GPU; use kernels=auto"):
            choose_kernels(name, "cpu")


@pytest.mark.parametrize("cutlass", [None, "raise RuntimeError('No CTK flavor')"])
def test_quack_without_a_cutlass_is_one_line(monkeypatch, tmp_path, cutlass):
    (tmp_path / "quack.py").touch()
    if cutlass is not None:
        (tmp_path / "cutlass.py").write_text(cutlass)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(choices, "_missing", lambda name: None)  # as on a Hopper GPU
    with pytest.raises(UserError, match=r"^kernels=quack is not installed \(No .*\): pip install 'golf\[hopper\]', or"):
        choose_kernels("quack", "cuda")


def test_a_model_of_plain_kernels_is_one_graph():
    ids = torch.from_numpy(golden.load("forward")["input_ids"])
    model = golden.model()
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    assert compiled(ids, ids).item() == pytest.approx(model(ids, ids).item())
