"""Test-time training that was cut off goes on at a chunk, to the same score."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import golden
import numpy as np
import pytest
import torch
from cutting import Calls, Cut
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import composed

from golf.build import build
from golf.data.tokenizer import ByteTable
from golf.evaluation.ledger import IllegalScore, Ledger
from golf.evaluation.probe import ProbeAt
from golf.evaluation.reader import Reader
from golf.evaluation.stream import Stream
from golf.evaluation.windows import sliding_windows
from golf.events import Listener
from golf.io.event_file import EventRecorder
from golf.resume.resume import Resume

SEQ_LEN, CHUNK = 32, 128  # the golden model's sequences; the last of 600 targets' five chunks is short
TOKENS = np.random.default_rng(0).integers(128, size=601).astype(np.uint16)


@cache
def config() -> dict:
    return composed("experiment=tiny")


def ledger() -> Ledger:
    ones, no = np.ones(128, np.int16), np.zeros(128, bool)
    stream = Stream.of(TOKENS, ByteTable(ones, no, no), torch.device("cpu"))
    windows = sliding_windows(stream.num_targets, SEQ_LEN, 16)
    return Ledger(stream, windows, Reader(batch_tokens=256, logits_dtype=torch.float32), ProbeAt(4, stream.num_targets))


class Adapting:
    """One process's part of an evaluation in `directory`."""

    def __init__(self, directory: Path, **changes: Any):
        self.model, self.ledger, self.recorder = golden.model(), ledger(), EventRecorder(Listener())
        usual = {"chunk_tokens": CHUNK, "epochs": 1, "lr": 0.05, "momentum": 0.9, "hash_buckets": 256}
        resume = Resume(every_seconds=0.0)
        with resume.checkpointer(directory, "ttt", "key", self.recorder, lambda: None) as self.checkpointer:
            ttt = build(config()["ttt"] | usual | changes)
            ttt.adapt(self.model, self.ledger, self.recorder, self.checkpointer)
        self.score = self.ledger.close()


@cache
def uninterrupted(hash_embed: bool) -> tuple[Adapting, int]:
    """And how many calls it makes."""
    with TemporaryDirectory() as directory:
        calls = Calls()
        with calls.counted():
            adapting = Adapting(Path(directory), hash_embed=hash_embed)
    return adapting, calls.made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the end of a generator that is no more
@settings(max_examples=15, deadline=None)
@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=4), hash_embed=st.booleans())
def test_cut_off_at_any_call(shares, hash_embed):
    whole, calls = uninterrupted(hash_embed)
    with TemporaryDirectory() as folder:
        for share in shares:
            cut = Calls(at=1 + int(share * calls))
            try:
                with cut.counted():
                    Adapting(Path(folder), hash_embed=hash_embed)
            except Cut:
                pass
        again = Adapting(Path(folder), hash_embed=hash_embed)
    assert again.score == whole.score
    assert again.recorder.events == whole.recorder.events
    assert again.ledger.facts() == whole.ledger.facts()
    before, after = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_chunk_that_was_kept_is_not_scored_again(tmp_path, monkeypatch):
    scored, score = [], Ledger.score

    def counted(self: Ledger, *arguments: Any) -> None:
        if len(scored) == 3:
            scored.append(None)
            raise Cut
        score(self, *arguments)
        scored.append(self.scored)

    monkeypatch.setattr(Ledger, "score", counted)
    with pytest.raises(Cut):
        Adapting(tmp_path)
    again = Adapting(tmp_path)
    assert scored == [128, 256, 384, None, 512, 600]
    assert again.checkpointer.times == 1
    assert again.checkpointer.stage_seconds > 0


def test_a_pass_that_has_begun_goes_nowhere_else():
    """Condition 4: what was scored stays scored."""
    one, other = ledger(), ledger()
    model = golden.model()
    one.score(model, one.windows[:4])
    with pytest.raises(IllegalScore, match="condition 4"):
        one.load_state_dict(other.state_dict())
