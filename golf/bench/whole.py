"""The configured job itself, on its own data: intermediate losses, scores, bytes and seconds."""

from collections.abc import Iterator, Mapping

from golf.bench import job
from golf.bench.row import Row
from golf.bench.setting import Setting
from golf.run.results import METRICS
from golf.tracker import jsonl
from golf.utils.nested import lookup

UNITS = {"val_bpb": "bpb", "val_loss": "nats", "tokens_per_second": "tokens/s", "steps": "steps", "tokens": "tokens"}
FIRST = 5  # of the logged losses
EVENLY = 12  # more, over the steps


def rows(setting: Setting) -> Iterator[Row]:
    directory = setting.directory / "whole"
    results = job.results(directory, setting.overrides)
    what = "of the configured job (once)"
    metrics = jsonl.read_metrics(directory)
    losses = {line["step"]: line["loss"] for line in metrics if line["stage"] == "train"}
    if losses:
        kept = {str(step): loss for step, loss in _some(losses).items()}
        yield Row(
            name="whole.loss",
            what=f"the last in training, {what}",
            unit="nats",
            values=[losses[max(losses)]],
            details=kept,
        )
    for line in metrics:
        if line["stage"] == "validate":
            name, step = "whole.last_weights.val_bpb", line["step"]
            yield Row(name=name, what=f"at step {step}, {what}", unit="bpb", values=[line["val_bpb"]])
    for line in jsonl.read(directory):
        if line.get("name") == "stage_finished":
            name = f"whole.{line['stage']}.peak_memory"
            yield Row(name=name, what=what, unit="GiB", values=[line["peak_memory_gib"]])
    for name in METRICS:
        if (value := lookup(results, name)) is not None:
            yield Row(name=f"whole.{name}", what=what, unit=_unit(name), values=[value])


def _some(losses: Mapping[int, float]) -> dict[int, float]:
    """The first FIRST points and EVENLY more, spread evenly over the steps."""
    last = max(losses)
    even = {last * part // EVENLY for part in range(1, EVENLY + 1)}
    return {step: loss for i, (step, loss) in enumerate(sorted(losses.items())) if i < FIRST or step in even}


def _unit(name: str) -> str:
    key = name.rpartition(".")[2]
    return UNITS.get(key) or ("bytes" if key.endswith("bytes") else "s")
