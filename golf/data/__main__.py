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
    download = commands.add_parser("download", help="fetch a published data set, and verify it")
    download.add_argument("name", help="one of conf/download.yaml, such as fineweb_sp8192")
    download.add_argument("--shards", type=int, help="how many training shards (default: all)")
    download.add_argument("--output", type=Path, help="its directory (default: data/NAME, where data=NAME looks)")
    arguments = parser.parse_args()
    if arguments.command == "check":
        return exit_code(lambda: _check(arguments.tokenizer, arguments.files))
    return exit_code(lambda: _download(arguments.name, arguments.output, arguments.shards))


def _check(tokenizer: Path, files: list[Path]) -> int:
    from golf.data.accounting import Unexplained
    from golf.data.check import check

    try:
        print(check(tokenizer, files))
    except Unexplained as error:
        print(f"golf: error: {error}", file=sys.stderr)
        return 1
    return 0


def _download(name: str, output: Path | None, shards: int | None) -> int:
    from golf.data.download import download
    from golf.tracker.console import Console

    download(name, output or Path("data", name), shards, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
