"""The report's tables as text, for the console and for the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from golf.io.limits import RECORD_MARGIN_NATS, RECORD_P, TOTAL_BYTES
from golf.report.baseline import Baseline
from golf.report.runs import Run
from golf.report.statistics import Difference, Spread, gain, spread
from golf.report.variants import by_seed, latest, variants
from golf.utils.shell import quote

Variants = Mapping[str, Sequence[Run]]
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """`columns`: their heads; the first one holds names, the others figures. `note`: how to read it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def scores(of: Variants, metrics: Sequence[str]) -> Table:
    """Mean ± sample standard deviation over the seeds of each variant, and its largest files."""
    stages = ("prequant", "quantized", "sliding", "ttt")
    rows = []
    for name, runs in of.items():
        finals = [_spread(spread(by_seed(runs, metric).values())) for metric in metrics]
        means = [_mean(run.results[stage] and run.results[stage]["val_bpb"] for run in runs) for stage in stages]
        largest = max((run.results["total_bytes"] or 0 for run in runs), default=0)
        rows.append([name, str(len(by_seed(runs))), *finals, *means, *_of_limit(largest or None)])
    return Table(
        "Scores",
        ["variant", "seeds", *metrics, "pre-quantization", "quantized", "sliding", "TTT", "total bytes", "left"],
        rows,
        f"val_bpb is the final score: of TTT where there is one, else of sliding windows. Mean ± sample standard "
        f"deviation over seeds; the others are means in bits per byte. Bytes are the largest of the seeds, left of "
        f"{TOTAL_BYTES:,}.",
    )


def differences(found: Mapping[str, Difference | None], reference: str, metric: str) -> Table:
    """Each variant against the reference."""
    rows = []
    for name, difference in found.items():
        if difference is None:
            rows.append([name, "0", NOTHING, NOTHING, NOTHING])
            continue
        low, high, p = difference.low, difference.high, difference.p
        interval = NOTHING if low is None or high is None else f"{low:+.5f} … {high:+.5f}"
        if difference.seeds > 1 and p is None:
            interval = "the same for every seed"
        rows.append([name, str(difference.seeds), f"{difference.mean:+.5f}", interval, _p(p)])
    return Table(
        f"Difference to {reference}",
        ["variant", "seeds", metric, "95 % confidence", "p"],
        rows,
        "Each seed with itself: mean of variant − reference, its confidence interval and the two-sided paired t-test. "
        "Below 0 the variant is better. p is not corrected for the number of variants.",
    )


def against(baseline: Baseline, of: Variants) -> Table:
    """Each variant against the baseline, by the challenge's rule for a new record."""
    old = spread(baseline.scores)
    rows = []
    for name, runs in of.items():
        new = by_seed(runs).values()
        found = gain(baseline.scores, new, baseline.margin)
        verdict = NOTHING if found.p is None else "yes" if found.p < RECORD_P else "no"
        rows.append([name, str(len(new)), f"{spread(new).mean:.5f}", f"{found.mean:+.5f}", _p(found.p), verdict])
    return Table(
        f"Against {baseline.name}: {_spread(old)}",
        ["variant", "seeds", "val_bpb", "gain", "p", "a new record"],
        rows,
        f"Welch's one-sided test, at p < {RECORD_P}, that mean(old) − mean(new) is more than {baseline.margin:.5f} "
        f"bits per byte. That is {RECORD_MARGIN_NATS} nats per token of the baseline's tokenizer, whose tokens have "
        f"{baseline.bytes_per_token:.3f} bytes on its text.",
    )


def each_run(of: Variants) -> Table:
    """Every run."""
    rows = []
    for name, runs in of.items():
        for run in runs:
            results = run.results
            stages = [results[stage] and results[stage]["val_bpb"] for stage in ("prequant", "quantized", "sliding")]
            rows.append(
                [
                    name,
                    str(results["seed"]),
                    *(_number(score) for score in [results["val_bpb"], *stages]),
                    _bytes(results["artifact_bytes"]),
                    *_of_limit(results["total_bytes"]),
                    quote(run.directory),
                ]
            )
    columns = ["variant", "seed", "val_bpb", "pre-quantization", "quantized", "sliding"]
    return Table("Runs", [*columns, "artifact", "total bytes", "left", "directory"], rows)


def seconds(of: Variants) -> Table:
    """Seconds of the stages when they were computed, possibly in another run of the cache."""
    stages = list(dict.fromkeys(stage for runs in of.values() for run in runs for stage in run.results["stages"]))
    rows = []
    for name, runs in of.items():
        times = [[run.results["stages"][s]["seconds"] for run in runs if s in run.results["stages"]] for s in stages]
        speed = _mean((run.results["train"] and run.results["train"]["tokens_per_second"] for run in runs), ",.0f")
        peaks = [report["peak_memory_bytes"] / 2**30 for run in runs for report in run.reports.values()]
        peak = f"{max(peaks):.2f}" if peaks else NOTHING
        rows.append([name, *(_mean(values, ".1f") for values in times), speed, peak])
    note = "Mean seconds of each stage when it was computed, though it may have been served from the cache since."
    return Table("Time", ["variant", *stages, "training tokens/s", "peak GiB"], rows, note)


def bytes_per_tensor(of: Variants) -> Table | None:
    """Estimated bytes of each tensor, for every variant of the artifact; None if no run has them."""
    made = quantized(of)
    sizes = {name: _mean_sizes(runs) for name, runs in made.items()}
    tensors = list(dict.fromkeys(tensor for found in sizes.values() for tensor in found))
    if not tensors:
        return None
    rows = [[tensor, *(_bytes(found.get(tensor)) for found in sizes.values())] for tensor in tensors]
    total = ["all", *(_bytes(sum(found.values())) for found in sizes.values())]
    note = "Mean over seeds: the order-0 entropy of the codes, and 2 bytes for each float16."
    return Table("Bytes per tensor", ["tensor", *sizes], [total, *rows], note)


def quantized(of: Variants) -> dict[str, list[Run]]:
    """The runs by what made the artifact."""
    return _by_stages(of, ("train", "quantize"))


def trained(of: Variants) -> dict[str, list[Run]]:
    """The runs by what made the weights."""
    return _by_stages(of, ("train",))


def _by_stages(of: Variants, stages: Iterable[str]) -> dict[str, list[Run]]:
    """One run per seed and variant of the stages' output; runs without a report of these stages are left out."""
    runs = [run for of_variant in of.values() for run in of_variant if all(stage in run.reports for stage in stages)]
    groups = frozenset(group for run in runs for stage in stages for group in run.reports[stage]["config"])
    return {name: latest(same) for name, same in variants(runs, groups).items()}


def _mean_sizes(runs: Sequence[Run]) -> dict[str, float]:
    sizes = [run.reports["quantize"]["result"]["bytes_per_tensor"] for run in runs]
    return {tensor: fmean(size[tensor] for size in sizes if tensor in size) for tensor in (sizes[0] if sizes else ())}


def _spread(found: Spread) -> str:
    return f"{found.mean:.5f}" + ("" if found.std is None else f" ± {found.std:.5f}")


def _mean(values: Iterable[float | None], form: str = ".5f") -> str:
    known = [value for value in values if value is not None]
    return format(fmean(known), form) if known else NOTHING


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.5f}"


def _bytes(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _of_limit(total: int | None) -> list[str]:
    """Bytes, and the rest of the limit."""
    return [_bytes(total), NOTHING if total is None else f"{TOTAL_BYTES - total:,}"]


def _p(p: float | None) -> str:
    return NOTHING if p is None else f"{p:.2g}"
