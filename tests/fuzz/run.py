"""Damaged files for every reader of a file that another may write: each is refused in one line, or means something.

    python tests/fuzz/run.py --count 20000 --seed 0

gives that many to all readers together, in processes whose memory and time are limited. An input is known by its
reader, the seed and its number: `--reader NAME --start NUMBER --count 1` gives it again.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main() -> int:
    from fuzz.harness import failures
    from fuzz.readers import READERS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--reader", choices=READERS, action="append", help="all, if none is given")
    parser.add_argument("--made", type=Path, help="a directory of what submit.tiny makes, which is made if it is empty")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = str(Path(temporary, "cache"))
        made = options.made or Path(temporary, "made")
        if not (made / "submission").exists():
            from submit.tiny import make

            made.mkdir(exist_ok=True)
            make(made)
        names = options.reader or list(READERS)
        total = sum(READERS[name][1] for name in names)
        failed = 0
        for name in names:
            count = round(options.count * READERS[name][1] / total)
            failed += len(failures(name, made, options.seed, range(options.start, options.start + count)))
    print(f"{options.count} inputs, {failed} failures, {time.perf_counter() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
