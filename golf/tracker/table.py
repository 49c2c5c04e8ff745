"""results.json as a table for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from golf.io.limits import TOTAL_BYTES
from golf.utils.shell import quote
from golf.utils.terminal import printable

ROWS = {
    "unigram": "unigram",
    "prequant": "pre-quantization",
    "quantized": "quantized",
    "sliding": "sliding",
    "ttt": "TTT",
}


def summary(results: Mapping[str, Any], directory: Path) -> Group:
    """Scores, bytes, seconds and files of one job: `results` as in results.json, `directory` where the job left it.

    Print it with `soft_wrap=True`, so that a long path stays one word.
    """
    lines = {"bytes": _bytes(results), "over": _over(results), "seconds": _seconds(results), "files": quote(directory)}
    texts = [printable(f"{name:<8} {text}") for name, text in lines.items() if text is not None]
    return Group(scores(results), *(Text(text, no_wrap=True) for text in texts))


def scores(results: Mapping[str, Any]) -> Table:
    """One row for each way to score the validation tokens; `change` is the difference to the row above in bits/byte."""
    table = Table()
    table.add_column("validation")
    for name in ("nats/token", "bits/byte", "change"):
        table.add_column(name, justify="right")
    above = None
    for key, label in ROWS.items():
        if score := results.get(key):
            bpb = score["val_bpb"]
            change = "" if above is None else f"{bpb - above:+.5f}"
            table.add_row(label, f"{score['val_loss']:.5f}", f"{bpb:.5f}", change)
            above = bpb
    return table


def _bytes(results: Mapping[str, Any]) -> str | None:
    if results.get("total_bytes") is None:
        return None
    return f"model {results['artifact_bytes']:,} + code {results['code_bytes']:,} = total {results['total_bytes']:,}"


def _over(results: Mapping[str, Any]) -> str | None:
    over = (results.get("total_bytes") or 0) - TOTAL_BYTES
    return f"{over:,} bytes above the limit of {TOTAL_BYTES:,}" if over > 0 else None


def _seconds(results: Mapping[str, Any]) -> str | None:
    seconds = results.get("stage_seconds") or {}
    return ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items()) or None
