"""`golf verify`: derives the claims of a submission folder again, and lists what could not be checked."""

import argparse
import sys
from pathlib import Path

from golf.paths import expanded
from golf.utils.cli import exit_code, extra


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="golf verify",
        description=__doc__,
        epilog="Exit code 0: nothing failed; 1: something did; 2: there is nothing to verify.",
    )
    parser.add_argument("folder", type=Path, help="with submission.json, train_gpt.py, the artifact and the logs")
    parser.add_argument(
        "--data",
        type=expanded,
        metavar="DIR",
        help="shards and tokenizer: repeats the score. This runs the submission's own train_gpt.py, a foreign program, "
        "with all your rights: do it where it can do no harm. Without it nothing of the folder is run",
    )
    arguments = parser.parse_args()
    return exit_code(lambda: _verify(arguments.folder, arguments.data))


def _verify(folder: Path, data: Path | None) -> int:
    with extra("submit"):
        from golf.verify.verify import show, verify
    findings = verify(folder, data)
    return 0 if show(folder, findings) else 1


if __name__ == "__main__":
    sys.exit(main())
