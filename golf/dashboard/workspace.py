"""The workspace's sections, for the runs that golf.tracker.wandb and golf.report log.

This is the one place where panels name metrics: curves those of a run's history, bars and points those of its summary
(results.json, with a dot for each level) and its configuration, ablations the columns of the report's table.
"""

from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from golf.io.limits import TOTAL_BYTES

ABLATIONS = "ablations/val_bpb"
MOST_RUNS = 100  # that a panel shows
VARIANT = wr.Config("variant")


def build(entity: str, project: str, name: str) -> ws.Workspace:
    """Build the workspace without saving it or contacting a server."""
    sections: dict[str, list[Any]] = {
        "Score": [
            _points("val_bpb of each run by seed", wr.Config("seed"), "val_bpb"),
            _bars("val_bpb by variant, mean and standard deviation over seeds", "val_bpb", by_variant=True),
            _bars("val_bpb of each run", "val_bpb"),
            _bars(
                "From the last weights to TTT, by variant",
                *(f"{score}.val_bpb" for score in ("prequant", "quantized", "sliding", "ttt")),
                by_variant=True,
            ),
        ],
        "Ablations": [
            _column("Difference to the baseline in bits per byte, mean over seeds", ABLATIONS, "mean"),
            _column("Lower end of its 95 % confidence interval", ABLATIONS, "low"),
            _column("Upper end of its 95 % confidence interval", ABLATIONS, "high"),
            wr.WeavePanelSummaryTable(table_name=ABLATIONS),
        ],
        "Training": [
            _curve("Training loss, nats per token", "train/step", "train/loss"),
            _curve("Validation, bits per byte", "train/step", "validate/val_bpb"),
            _curve("Learning rate, share of the peak", "train/step", "train/lr_scale"),
        ],
        "Test-time training": [
            _curve("Bits per byte of all tokens so far", "ttt/chunk", "ttt/val_bpb"),
            _curve("Learning rate", "ttt/chunk", "ttt/lr"),
        ],
        "Size": [
            _bars(f"Total bytes; the axis ends at the limit of {TOTAL_BYTES:,}", "total_bytes", longest=TOTAL_BYTES),
            _bars("Model and code, bytes", "artifact_bytes", "code_bytes"),
            _points("val_bpb over total bytes", wr.SummaryMetric("total_bytes"), "val_bpb"),
        ],
        "Throughput": [
            _bars("Training, tokens per second", "train.tokens_per_second"),
            _curve("Training, tokens per second since the start", "train/step", "train/tokens_per_second"),
            _bars("Evaluation, seconds", "eval_seconds"),
            _bars(
                "Seconds of each stage",
                *(f"stage_seconds.{stage}" for stage in ("data", "train", "quantize", "evaluate", "ttt")),
            ),
        ],
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[ws.Section(name=title, panels=panels, is_open=True) for title, panels in sections.items()],
        settings=ws.WorkspaceSettings(max_runs=MOST_RUNS),
    )


def metrics(workspace: ws.Workspace) -> dict[str, list[str]]:
    """The metrics that panels refer to, by their place in a run; of a table its key, and its columns after a colon."""
    found: dict[str, set[str]] = {"history": set(), "summary": set(), "config": set(), "tables": set()}

    def note(place: str, *metrics: Any) -> None:
        for metric in metrics:
            match metric:
                case wr.Config():
                    found["config"].add(metric.name)
                case wr.SummaryMetric():
                    found["summary"].add(metric.name)
                case str():
                    found[place].add(metric)

    for panel in (panel for section in workspace.sections for panel in section.panels):
        match panel:
            case wr.LinePlot():
                note("history", panel.x, *panel.y, panel.groupby)
            case wr.BarPlot():
                note("summary", *panel.metrics, panel.groupby)
            case wr.ScatterPlot():
                note("summary", panel.x, panel.y)
            case wr.CustomChart():
                key = panel.query["summaryTable"]["tableKey"]
                note("tables", *(f"{key}:{column}" for column in panel.chart_fields.values()))
            case wr.WeavePanelSummaryTable():
                note("tables", panel.table_name)
            case _:
                raise TypeError(f"{type(panel).__name__}: the place of its metrics is unknown")
    return {place: sorted(names) for place, names in found.items()}


def _curve(title: str, x: str, y: str) -> wr.LinePlot:
    """Over a run's history: the mean of each variant, and between its lowest and its highest a band."""
    return wr.LinePlot(
        title=title,
        x=x,
        y=[y],
        groupby=VARIANT,
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=MOST_RUNS,
    )


def _bars(title: str, *metrics: str, by_variant: bool = False, longest: float | None = None) -> wr.BarPlot:
    """Bars of a summary value: one per run, or per variant its mean and standard deviation; cut at `longest`."""
    return wr.BarPlot(
        title=title,
        metrics=list(metrics),
        range_x=(None, None) if longest is None else (0, longest),
        groupby=VARIANT if by_variant else None,
        groupby_aggfunc="mean" if by_variant else None,
        groupby_rangefunc="stddev" if by_variant else None,
        max_runs_to_show=MOST_RUNS,
        max_bars_to_show=MOST_RUNS,
    )


def _points(title: str, x: wr.Config | wr.SummaryMetric, y: str) -> wr.ScatterPlot:
    """One point for each run."""
    return wr.ScatterPlot(title=title, x=x, y=wr.SummaryMetric(y))


def _column(title: str, table: str, column: str) -> wr.CustomChart:
    """One bar for each variant of a table that a run logged, drawn by W&B's own preset for bars."""
    return wr.CustomChart(
        query={"summaryTable": {"tableKey": table}},
        chart_name="wandb/bar/v0",
        chart_fields={"label": "variant", "value": column},
        chart_strings={"title": title},
    )
