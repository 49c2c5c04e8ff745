"""A run divides by the bytes of its text, or ends before it trains."""

import math

import numpy as np
import pytest
from data.counting import TEXT, Counting, train, without_space_piece
from runs import run

from golf.data.accounting import Unexplained
from golf.data.shard import write_shard

DOCUMENTS = [TEXT, "fox x dog x", "日 x", "x"] * 3
QUICK = ("stages=[train]", "trainer.steps=1", "tracker=none")


@pytest.fixture
def shards(tmp_path):
    """Writes shards of DOCUMENTS, each before an EOS, and returns the overrides of a run on them."""

    def made(counting: Counting) -> list[str]:
        eos = counting.model.eos_id()
        val = [token for text in DOCUMENTS for token in (*counting.model.encode(text), eos)]
        val = [eos, *val, *[eos] * (-len(val) % 128)]  # all of it is scored
        write_shard(tmp_path / "x_val_0.bin", np.array(val))
        write_shard(tmp_path / "x_train_0.bin", np.array(val * 20))
        data = ["data=shards", f"data.path={tmp_path}", f"data.tokenizer={counting.path}", "data.val_tokens=null"]
        return [*data, f"model.vocab_size={counting.model.vocab_size()}", *QUICK]

    return made


@pytest.mark.slow
def test_a_space_that_is_no_piece_and_eos_for_bos(tmp_path, shards):
    counting = Counting(without_space_piece(train(tmp_path / "tok.model")))
    results = run(tmp_path / "run", *shards(counting))
    size, tokens = sum(len(text.strip().encode()) for text in DOCUMENTS), results["account"]["tokens"]
    sizes = {"table_bytes": size, "text_bytes": size}
    assert results["account"] == {"documents": 12, "tokens": tokens, **sizes, "verdict": "pass"}
    assert results["val_bpb"] == pytest.approx(results["val_loss"] / math.log(2) * (tokens - 1) / size)


def test_text_that_is_lost_ends_the_run(tmp_path, shards):
    counting = Counting(train(tmp_path / "tok.model", byte_fallback=False, vocab_size=50))
    overrides = shards(counting)
    with pytest.raises(Unexplained, match=r": document 3, from token \d+ of the stream on: token 2, '<unk>' after"):
        run(tmp_path / "run", *overrides)
    assert Unexplained.code == 2
    assert not list((tmp_path / "run").iterdir())
