"""Measures the subjects one by one; prints the table and writes the JSON file."""

import gc
import math
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from golf.bench.row import Skipped
from golf.bench.setting import Setting
from golf.errors import UserError
from golf.run.provenance import provenance
from golf.utils.atomic import write_json
from golf.utils.terminal import plain_text

WIDTH = 1000  # of the console: a table is as wide as its text, and nothing in it is cut


def bench(overrides: Sequence[str], subjects: Sequence[str], repeats: int, output: Path) -> bool:
    """Print the table and rewrite `output` after each row. Returns whether every subject that can run here succeeded.

    Raises UserError if the configuration cannot be composed, or not run on this machine.
    """
    console = Console(width=WIDTH)
    with tempfile.TemporaryDirectory() as directory:
        setting = Setting.of(overrides, repeats, Path(directory))
        found: dict[str, Any] = {**_about(setting), "seconds": {}, "rows": []}
        well = True
        for subject in subjects:
            started = time.perf_counter()
            try:
                for row in _rows(subject, setting):
                    found["rows"].append(row)
                    write_json(output, found)
            except (Skipped, UserError, ImportError, torch.cuda.OutOfMemoryError) as error:
                found["rows"].append({"name": subject, "skipped": str(error).partition("\n")[0]})
            except Exception as error:  # the other rows are still worth measuring
                traceback.print_exc()
                found["rows"].append({"name": subject, "failed": repr(error).partition("\n")[0]})
                well = False
            found["seconds"][subject] = time.perf_counter() - started
            write_json(output, found)
            print(f"{subject}: {found['seconds'][subject]:.0f} s", file=sys.stderr, flush=True)
            _forget()
    console.print(_table(found))
    for row in found["rows"]:
        for how in ("skipped", "failed"):
            if how in row:
                console.print(plain_text(f"! {row['name']} is {how}: {row[how]}"), soft_wrap=True)
    console.print(plain_text(str(output)), soft_wrap=True)
    return well


def _rows(subject: str, setting: Setting) -> Iterator[dict[str, Any]]:
    for row in import_module(f"golf.bench.{subject}").rows(setting):
        yield row.to_json()


def _forget() -> None:
    """Free the memory and reset compilation for the next subject."""
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()


def _about(setting: Setting) -> dict[str, Any]:
    """Device, versions, code and configuration behind the figures."""
    made = provenance(setting.config, {}, str(setting.device))
    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = None
    return {
        **{key: made[key] for key in ("device", "date", "git", "code_sha256", "config_sha256")},
        "versions": made["versions"] | {"triton": triton},
        "overrides": list(setting.overrides),
        "choices": dict(setting.choices),
        **setting.backend.names,
        "repeats": setting.repeats,
    }


def _table(found: dict[str, Any]) -> Table:
    table = Table(
        title=f"{found['device']['name']}, kernels {found['kernels']}, attention {found['attention']}",
        title_justify="left",
        caption=f"Medians of up to {found['repeats']}; × is how many times better than the plain path.",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for i, column in enumerate(["row", "value", "plain", "×", "", "details"]):
        table.add_column(plain_text(column), justify="right" if i in (1, 2, 3) else "left", no_wrap=True)
    for row in found["rows"]:
        if "value" in row:
            ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
            value, plain = (_number(row[key], row["unit"]) for key in ("value", "plain"))
            details = ", ".join(f"{key} {_short(detail)}" for key, detail in row["details"].items())
            table.add_row(*(plain_text(cell) for cell in (row["name"], value, plain, ratio, row["what"], details)))
    return table


def _number(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{_short(value)} {unit}"


def _short(value: Any) -> str:
    """A number with four significant digits, or as an integer from 1000 on."""
    if not isinstance(value, float) or not math.isfinite(value):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
