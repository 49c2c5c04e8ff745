"""`golf submit`: the submission folder, from the runs of its seeds."""

import argparse
import sys
from pathlib import Path

from golf.paths import expanded
from golf.utils.cli import exit_code, extra


def main() -> int:
    parser = argparse.ArgumentParser(prog="golf submit", description=__doc__)
    parser.add_argument(
        "directories", nargs="+", help="of runs or of a sweep; and KEY=VALUE for golf/submit/submission.yaml"
    )
    parser.add_argument("--output", type=expanded, default=Path("submission"), help="the folder (default: submission)")
    parser.add_argument("--logs", type=expanded, help="where the script was run (default: OUTPUT-runs)")
    arguments = parser.parse_args()
    return exit_code(lambda: _submit(arguments))


def _submit(arguments: argparse.Namespace) -> int:
    with extra("submit"):
        from golf.submit.submit import submit
    overrides = [word for word in arguments.directories if "=" in word and not Path(word).exists()]
    directories = [Path(word) for word in arguments.directories if word not in overrides]
    logs = arguments.logs or arguments.output.with_name(f"{arguments.output.name}-runs")
    return 0 if submit(directories, overrides, arguments.output, logs) else 1


if __name__ == "__main__":
    sys.exit(main())
