"""From directories to tables, a page and PNGs."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from golf.config.names import no_such
from golf.errors import UserError, require
from golf.report import tables
from golf.report.baseline import RECORD, read_baseline
from golf.report.flags import flags
from golf.report.page import write_page
from golf.report.plots import draw
from golf.report.runs import Run, differing, read_runs
from golf.report.statistics import paired
from golf.report.variants import by_seed, latest, variants
from golf.report.wandb_summary import log_deltas
from golf.utils.shell import quote
from golf.utils.terminal import plain_text

WANDB = "golf.tracker.wandb.Wandb"
WIDTH = 1000  # of the console: a table is as wide as its text, and nothing in it is cut


def report(
    directories: Sequence[Path],
    *,
    reference: str | None,
    metric: str,
    baseline: str | None,
    output: Path,
    wandb: bool,
) -> bool:
    """Print the tables, write report.html and the PNGs into `output`, and with `wandb` log the differences to W&B.

    reference: a variant's name, as the tables show it, or None for the first one that ran. metric: val_bpb or val_loss.
    baseline: a file (see golf.report.baseline), `record`, or None. Returns whether every run could be read. Raises
    UserError for what cannot be compared, and if `output` cannot be written.
    """
    require_writable(output)
    runs, without = read_runs(directories)
    if wandb:
        tracked = runs[0].tracker["_target_"] == WANDB
        require(tracked, f"--wandb: {runs[0].directory} was not tracked by W&B; run it with tracker=wandb")
    alike = not differing([run.scored_on for run in runs])
    if metric == "val_loss" and not alike:
        raise UserError(why_bits_per_byte(runs))
    old = None if baseline is None else read_baseline(RECORD if baseline == "record" else Path(baseline))
    all_of = variants(runs)
    of = {name: latest(same) for name, same in all_of.items()}
    reference = next(iter(of)) if reference is None else reference
    if reference not in of:
        raise UserError(no_such("variant", "--reference", reference, of))
    base = by_seed(of[reference], metric)
    found = {name: paired(by_seed(same, metric), base) for name, same in of.items() if name != reference}
    first = [
        tables.scores(of, ["val_bpb", "val_loss"] if alike else ["val_bpb"]),
        *([tables.differences(found, reference, metric)] if found else []),
        *([] if old is None else [tables.against(old, of)]),
    ]
    rest = [tables.each_run(all_of), tables.seconds(of)]
    warnings = flags(all_of, without, old) + ([] if alike else [why_bits_per_byte(runs)])
    console = Console(width=WIDTH)
    for table in first + rest:
        console.print(_rich(table))
    for line in warnings:
        console.print(plain_text(f"! {line}"), soft_wrap=True)
    output.mkdir(parents=True, exist_ok=True)
    plots = draw(of, found, reference, metric, output)
    sizes = tables.bytes_per_tensor(of)
    title = f"{len(runs)} runs in {', '.join(str(directory) for directory in directories)}"
    write_page(output / "report.html", title, warnings, first, plots, rest + ([] if sizes is None else [sizes]))
    if wandb and found:
        about = {"baseline": reference, "metric": metric}
        known = {name: difference for name, difference in found.items() if difference is not None}
        deltas = [{"variant": name, **about, **asdict(difference)} for name, difference in known.items()]
        log_deltas(deltas, output, runs[0].tracker)
    console.print(plain_text(quote(output / "report.html")), soft_wrap=True)
    return not any(why.damaged for why in without.values())


def require_writable(directory: Path) -> None:
    """Raise UserError unless files can be written to a directory, which need not be there; it is not made."""
    path = directory.absolute()
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(f"--output {directory}: cannot be written ({error.strerror}); give another") from error


def why_bits_per_byte(runs: Sequence[Run]) -> str:
    """The reason why nats per token of these runs are not compared."""
    what = "tokenizers" if differing([run.scored_on["tokenizer"] for run in runs]) else "validation data"
    return f"the runs' {what} differ, so nats per token mean different things; bits per byte alone are compared"


def _rich(table: tables.Table) -> RichTable:
    drawn = RichTable(
        title=plain_text(table.title),
        title_justify="left",
        caption=plain_text(table.note),
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for i, column in enumerate(table.columns):
        drawn.add_column(plain_text(column), justify="right" if i else "left", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(plain_text(cell) for cell in row))
    return drawn
