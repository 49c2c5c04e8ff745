"""What a stage's key holds that no run on the CPU shows."""

import pytest
from runs import composed

from golf.stages.key import stage_key
from golf.stages.train import Train
from golf.utils import import_closure

FACTS = {"data": {}, "device": {"name": "cpu"}, "ranks": 1, "kernels": "plain", "versions": {"torch": "2"}}


@pytest.mark.parametrize(("attention", "differs"), [("hybrid", True), ("sdpa", False)])
def test_the_code_of_attention_that_is_imported_by_name(monkeypatch, attention, differs):
    def key() -> str:
        return stage_key(Train(), composed("experiment=tiny"), {}, {}, FACTS | {"attention": attention})

    def edited(module: str) -> str:
        return source_of(module) + ("\nedited = True" if module == "golf.kernels.attention_hybrid" else "")

    before, source_of = key(), import_closure.source_of
    monkeypatch.setattr(import_closure, "source_of", edited)
    assert (key() != before) == differs
