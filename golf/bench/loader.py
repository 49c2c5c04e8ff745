"""How long the training loop waits for a prefetched batch, and for one that is drawn on request."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from golf.bench.row import Row
from golf.bench.setting import Setting
from golf.data.loader import Loader
from golf.data.prefetch import Prefetched
from golf.data.shard import Shard, write_shard

SHARDS = 4
BATCHES = 16  # of one repeat
PAUSE = 3  # computing between two batches takes this many times as long as drawing one: less than in training


def rows(setting: Setting) -> Iterator[Row]:
    sequences, seq_len = setting.micro_batch(), setting.config["model"]["seq_len"]
    tokens = setting.tokens((2 * BATCHES * sequences // SHARDS + 2) * seq_len)
    files = [setting.directory / f"loader_{i}.bin" for i in range(SHARDS)]
    for file in files:
        write_shard(file, tokens)

    def loader(cold: bool) -> Loader:
        if cold:
            _forget(files)
        return Loader([Shard(file) for file in files], seq_len, None, "global")

    def in_line(cold: bool) -> float:
        source = loader(cold)

        def batch() -> None:
            for part in source.batch(sequences):
                part.to(setting.device)

        return _wait(batch, 0.0)

    pause = PAUSE * in_line(False) / 1e3

    def ahead(cold: bool) -> float:
        with closing(Prefetched(loader(cold), sequences, setting.device)) as batches:
            return _wait(batches.batch, pause)

    for name, cold in (("loader", False), ("loader.cold", True)):
        yield Row(
            name=name,
            what=f"wait for a batch{', the page cache being cold' if cold else ''}, against drawing it in line",
            unit="ms",
            values=[ahead(cold) for _ in range(setting.repeats)],
            plain=[in_line(cold) for _ in range(setting.repeats)],
            details={"sequences": sequences, "computing_ms": 1e3 * pause},
        )


def _wait(batch: Callable[[], object], pause: float) -> float:
    """Median milliseconds of `batch`, each call after a pause."""
    waits = []
    for _ in range(BATCHES):
        time.sleep(pause)
        started = time.perf_counter()
        batch()
        waits.append(1e3 * (time.perf_counter() - started))
    return median(waits)


def _forget(files: list[Path]) -> None:
    """Drop the files from the system's page cache, if they are on a disk."""
    for file in files:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
