"""`golf data`: checks, downloads and builds data sets."""

import argparse
import os
import sys
from pathlib import Path

from golf.events import Events
from golf.paths import expanded
from golf.utils.cli import exit_code
from golf.utils.terminal import print_error, printable


def main() -> int:
    parser = argparse.ArgumentParser(prog="golf data", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="count the bytes of each document, and compare them with its text")
    check.add_argument("--tokenizer", type=expanded, required=True, help="SentencePiece model")
    check.add_argument(
        "files",
        nargs="+",
        type=Path,
        help='the token shards of one stream in order (.bin), JSON lines with a "text" (.jsonl), or a text each',
    )
    download = commands.add_parser("download", help="fetch a published data set, and verify it")
    download.add_argument("name", help="one of golf/data/download.yaml, such as fineweb_sp8192")
    download.add_argument("--shards", type=int, help="how many training shards (default: all)")
    download.add_argument("--output", type=expanded, help="its directory (default: data/NAME, where data=NAME looks)")
    build = commands.add_parser("build", help="make a tokenizer and shards from documents")
    build.add_argument("inputs", nargs="+", type=Path, help='a text each (.txt), or JSON lines with a "text" (.jsonl)')
    build.add_argument("--output", type=expanded, required=True, help="the data set's directory, which is made")
    build.add_argument("--vocab", type=int, default=1024, help="pieces of the tokenizer (default: 1024)")
    build.add_argument(
        "--val-documents",
        type=int,
        default=50_000,
        help="validation documents, the first ones (default: 50000)",
    )
    build.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes, without effect on the files (default: all)",
    )
    build.add_argument("--shard-tokens", type=int, default=10**8, help="of a full shard (default: 100000000)")
    arguments = parser.parse_args()
    if arguments.command == "check":
        return exit_code(lambda: _check(arguments.tokenizer, arguments.files))
    if arguments.command == "download":
        return exit_code(lambda: _download(arguments.name, arguments.output, arguments.shards))
    return exit_code(lambda: _build(**{key: value for key, value in vars(arguments).items() if key != "command"}))


def _check(tokenizer: Path, files: list[Path]) -> int:
    from golf.data.accounting import Unexplained
    from golf.data.prep.check import check

    try:
        print(printable(check(tokenizer, files)))
    except Unexplained as error:
        print_error(error)
        return 1
    return 0


def _download(name: str, output: Path | None, shards: int | None) -> int:
    from golf.data.prep.download import download
    from golf.data.published import usual_place
    from golf.tracker.console import Console

    download(name, output or usual_place(name), shards, Events(optional=[Console()]))
    return 0


def _build(inputs: list[Path], output: Path, **options: int) -> int:
    from golf.data.prep.build import Options, build
    from golf.tracker.console import Console

    build(inputs, output, Options(**options), Events(optional=[Console()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
