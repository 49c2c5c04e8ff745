"""`golf cache`: list, prune and look up the cache of stages."""

import argparse
import sys
import time
from pathlib import Path

from golf.cache.entries import Entry, user_cache
from golf.cache.prune import held, prune, require_cache
from golf.cache.stage_cache import stage_of
from golf.io.run_directory import read_reports, runs_of_sweep
from golf.utils.cli import exit_code
from golf.utils.terminal import print_error, printable


def main() -> int:
    parser = argparse.ArgumentParser(prog="golf cache", description=__doc__)
    parser.add_argument("--directory", help="of the cache (default: golf/stages in the user's cache)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the entries, the last used one first")
    smaller = commands.add_parser("prune", help="remove the least recently used entries")
    smaller.add_argument("--limit-gib", type=float, required=True, help="the size to keep; 0 empties the cache")
    keys = commands.add_parser("keys", help="the keys of a run's stages, and whether the cache holds them")
    keys.add_argument("run", type=Path, help="a run directory")
    arguments = parser.parse_args()
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    root = user_cache(arguments.directory, "stages")
    if arguments.command == "list":
        for entry in held(root):
            stage = stage_of(entry.path)
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used))
            print(printable(f"{entry.path.name[:12]}  {stage:<9} {entry.size / 1e6:10.1f} MB  used {used}"))
        print(printable(f"{sum(entry.size for entry in held(root)) / 1e9:.2f} GB in {root}"))
    elif arguments.command == "prune":
        require_cache(root)
        removed = prune(root, int(arguments.limit_gib * 2**30))
        print(f"removed {len(removed)} entries, {sum(entry.size for entry in removed) / 1e9:.2f} GB")
    else:
        found = read_reports(arguments.run)
        if not found:
            runs = runs_of_sweep(arguments.run)
            sweep = f"is a sweep's directory; give one of its runs, such as {runs[0]}" if runs else None
            print_error(f"{arguments.run}: {sweep or 'is not a run directory'}")
            return 2
        for report in found:
            held_here = "in the cache" if Entry(root / report["key"]).is_whole() else "not in the cache"
            print(printable(f"{report['key']}  {report['stage']:<9} {held_here}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
