"""`python -m golf.data`: looks after data sets."""

import argparse
import sys
from pathlib import Path

from golf.command import exit_code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m golf.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="count the bytes of each document, and compare them with its text")
    check.add_argument("--tokenizer", type=Path, required=True, help="SentencePiece model")
    check.add_argument(
        "files",
        nargs="+",
        type=Path,
        help='the token shards of one stream in order (.bin), JSON lines with a "text" (.jsonl), or a text each',
    )
    arguments = parser.parse_args()
    return exit_code(lambda: _check(arguments.tokenizer, arguments.files))


def _check(tokenizer: Path, files: list[Path]) -> int:
    from golf.data.accounting import Unexplained
    from golf.data.check import check

    try:
        print(check(tokenizer, files))
    except Unexplained as error:
        print(f"golf: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
