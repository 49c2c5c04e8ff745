"""Growth of time and memory with the number of tokens, the sequence length and the number of chunks."""

from collections.abc import Callable, Iterator
from statistics import median

from golf.bench.evaluation import chunk_seconds, sliding
from golf.bench.row import Row
from golf.bench.setting import Setting

TIMES = (1, 2, 4)
SEQUENCES = 16  # of the shortest stream


def rows(setting: Setting) -> Iterator[Row]:
    config = setting.config
    seq_len, stride = config["model"]["seq_len"], config["evaluation"]["stride"]
    yield _row(
        setting,
        "tokens",
        "sliding evaluation of a longer stream",
        lambda times: median(sliding(setting, config, times * SEQUENCES * seq_len)),
    )

    def longer(times: int) -> float:
        """The windows of a stream, all of them full."""
        return median(sliding(setting, config, SEQUENCES * seq_len + times * seq_len - stride, seq_len=times * seq_len))

    yield _row(setting, "seq_len", "sliding evaluation with longer windows", longer)
    if "chunk_tokens" in config["ttt"]:
        yield _row(
            setting,
            "chunks",
            "test-time training on more chunks",
            lambda times: sum(chunk_seconds(setting, config["ttt"], config, times)),
        )


def _row(setting: Setting, name: str, what: str, seconds: Callable[[int], float]) -> Row:
    """The value: the time of the longest divided by that of as many of the shortest."""
    took, gib = [], []
    for times in TIMES:
        setting.reset_peak()
        took.append(seconds(times))
        gib.append(setting.peak_gib())
    return Row(
        name=f"growth.{name}",
        what=f"{what}: {TIMES[-1]}×, against {TIMES[-1]} times 1×",
        unit="×",
        values=[took[-1] / took[0] / TIMES[-1]],
        details={"seconds_1x": took[0]}
        | {f"time_{times}x": each / took[0] for times, each in zip(TIMES, took, strict=True)}
        | {f"peak_gib_{times}x": each for times, each in zip(TIMES, gib, strict=True)},
    )
