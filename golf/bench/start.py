"""Time from the start of a process to the first training step, with empty compile caches."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from golf.bench import job
from golf.bench.row import Row, Skipped
from golf.bench.setting import PLAIN, Setting
from golf.data import fixture
from golf.data.shard import write_shard
from golf.data.tokenizer import read_byte_table
from golf.tracker.jsonl import read

CACHES = ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
FIRST_STEP = ("stages=[train]", "trainer.steps=1", "trainer.warmup_steps=1")
EVERY = 0.1  # seconds between two polls
PATIENCE = 400.0


def rows(setting: Setting) -> Iterator[Row]:
    data = _data(setting)
    seconds = _seconds(setting, "configured", data)
    # On the CPU both are the same.
    plain = None if setting.backend.names["kernels"] == "plain" else _seconds(setting, "plain", [*data, *PLAIN])
    yield Row(
        name="start",
        what="from the start of a process to the first training step, with cold caches (once)",
        unit="s",
        values=[seconds],
        plain=None if plain is None else [plain],
    )


def _data(setting: Setting) -> list[str]:
    """Overrides that name synthetic shards and a tokenizer."""
    config = setting.config
    directory, vocab_size = setting.directory / "data", config["model"]["vocab_size"]
    given = config["data"].get("tokenizer")
    shipped = Path(fixture.__file__).with_name("fixture") / "tokenizer.model"
    tokenizer = shipped if given is None or not Path(given).is_file() else Path(given)
    if read_byte_table(tokenizer).vocab_size != vocab_size:
        raise Skipped(f"needs a tokenizer of {vocab_size} pieces: add data.tokenizer=FILE")
    trainer, seq_len = config["trainer"], config["model"]["seq_len"]
    write_shard(directory / "random_train_0.bin", setting.tokens(4 * trainer["batch_tokens"] + seq_len))
    write_shard(directory / "random_val_0.bin", setting.tokens(seq_len + 1))
    return ["data=shards", f"data.path={directory}", f"data.tokenizer={tokenizer.absolute()}"]


def _seconds(setting: Setting, name: str, overrides: list[str]) -> float:
    """Seconds until the first point of the curve; the run is killed there."""
    directory, caches = setting.directory / name, setting.directory / f"{name}_caches"
    fresh = {variable: str(caches / variable) for variable in CACHES}
    own = [override for override in setting.overrides if not override.startswith("data")]
    started = time.time()
    with job.running(directory, [*own, *FIRST_STEP, *overrides], **fresh) as process:
        while time.time() - started < PATIENCE:
            ended = process.poll() is not None
            points = [line["time"] for line in read(directory) if line.get("stage") == "train" and "loss" in line]
            if points:
                os.environ.update(fresh)  # for the subjects after this one
                return float(points[0] - started)
            if ended:
                raise Skipped(f"the run ended without a step: {job.last_words(directory)}")
            time.sleep(EVERY)
    raise Skipped(f"no step in {PATIENCE:.0f} seconds")
