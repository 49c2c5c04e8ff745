"""`golf report`: compares the runs of sweeps in tables, one page and PNGs."""

import argparse
import sys
from pathlib import Path

from golf.paths import expanded
from golf.utils.cli import exit_code, extra

CODES = "Exit code 0: every run was read; 1: one could not be, and the others are reported; 2: there is no report."


def main() -> int:
    parser = argparse.ArgumentParser(prog="golf report", description=__doc__, epilog=CODES)
    parser.add_argument("directories", nargs="+", type=Path, help="of sweeps or runs; searched recursively")
    parser.add_argument("--reference", help="the variant that the others are compared with (default: the first one)")
    parser.add_argument("--metric", choices=["val_bpb", "val_loss"], default="val_bpb", help="what is compared")
    parser.add_argument("--baseline", help="JSON of scores to beat; `record`: the published record's")
    parser.add_argument("--output", type=expanded, default=Path("report"), help="directory to write (default: report)")
    parser.add_argument("--wandb", action="store_true", help="log the differences to W&B too, beside the first run")
    arguments = parser.parse_args()
    return exit_code(lambda: _report(arguments))


def _report(arguments: argparse.Namespace) -> int:
    with extra("report"):
        from golf.report.compare import report
    all_read = report(
        arguments.directories,
        reference=arguments.reference,
        metric=arguments.metric,
        baseline=arguments.baseline,
        output=arguments.output,
        wandb=arguments.wandb,
    )
    return 0 if all_read else 1


if __name__ == "__main__":
    sys.exit(main())
