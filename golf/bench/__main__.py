"""`golf bench`: speed of the parts on synthetic data, compared with the same mathematics on the plain path."""

import argparse
import sys
from pathlib import Path

from golf.bench.subjects import KNOWN, SUBJECTS
from golf.config.names import no_such
from golf.errors import UserError, require
from golf.paths import expanded
from golf.utils.cli import exit_code


def main() -> int:
    width = max(map(len, KNOWN))
    parser = argparse.ArgumentParser(
        prog="golf bench",
        description=__doc__,
        epilog="rows:\n" + "\n".join(f"  {name:{width}}  {what}" for name, what in KNOWN.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("overrides", nargs="*", help="as for a run: experiment=record compute.kernels=auto")
    parser.add_argument("--only", metavar="ROW,…", help="measure only these rows")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="repeats; the median counts (default: 3)")
    parser.add_argument(
        "--output", type=expanded, default=Path("bench.json"), help="the JSON file (default: bench.json)"
    )
    arguments = parser.parse_args()
    return exit_code(lambda: _bench(arguments))


def _bench(arguments: argparse.Namespace) -> int:
    wanted = list(SUBJECTS) if arguments.only is None else arguments.only.split(",")
    for name in wanted:
        if name not in KNOWN:
            raise UserError(no_such("row", "--only", name, KNOWN))
    require(arguments.repeats > 0, f"--repeats {arguments.repeats}: must be at least 1")
    from golf.bench.bench import bench  # imports torch, which --help does not need

    subjects = [name for name in KNOWN if name in wanted]
    return 0 if bench(arguments.overrides, subjects, arguments.repeats, arguments.output) else 1


if __name__ == "__main__":
    sys.exit(main())
