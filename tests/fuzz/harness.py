"""Reading damaged inputs: each is refused in one line, or means something."""

import faulthandler
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.mutate import Rng
from fuzz.readers import READERS, Reader

from golf.errors import UserError, causes

MEMORY = 1 << 30  # bytes above what the process has at the start
SECONDS = 5  # of one input
LONGEST = 2000  # characters of a message


@dataclass
class Outcome:
    """How often inputs ended how, and the slowest one."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)  # seconds and number


def fuzz(name: str, reader: Reader, seed: int, numbers: range, directory: Path) -> Iterator[tuple[int, str, float]]:
    """Of each input its number, how it ended, and the seconds that it took. All but a UserError is raised.

    In the directory are the reader's valid files.
    """
    for number in numbers:
        rng = Rng(f"{name} {seed} {number}")
        try:
            reader.spoil(rng, directory)
            started = time.perf_counter()
            end = judge(reader, directory)
        except BaseException as error:  # a panic of Rust, for one, is no Exception
            error.add_note(f"{name}: seed {seed}, number {number}")
            raise
        yield number, end, time.perf_counter() - started
        reader.restore(directory)


def judge(reader: Reader, directory: Path) -> str:
    """Read it: "refused" or "read"; all else is raised."""
    try:
        reader.read(directory)
    except UserError as error:
        message = str(error)
        assert message.isprintable(), message
        assert len(message) <= LONGEST, message
        for cause in causes(error):
            full = isinstance(cause, MemoryError) or "allocate memory" in str(cause)
            assert not full, "it would have taken more memory"
        return "refused"
    return "read"


def guarded(name: str, made: Path, seed: int, numbers: range, at: Any) -> None:
    """Fuzz with limited memory and time, and print what came of it."""
    with tempfile.TemporaryDirectory() as temporary:
        scratch, directory = Path(temporary, "scratch"), Path(temporary, "input")
        scratch.mkdir(), directory.mkdir()
        reader = READERS[name][0](made, scratch)
        reader.write(directory)
        reader.read(directory)  # what is valid is read
        virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (virtual + MEMORY,) * 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome, began = Outcome(), time.perf_counter()
        at.value = numbers.start
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        for number, end, seconds in fuzz(name, reader, seed, numbers, directory):
            outcome.slowest = max(outcome.slowest, (seconds, number))
            outcome.ends[end] += 1
            at.value = number + 1
            faulthandler.dump_traceback_later(SECONDS, exit=True)
        faulthandler.cancel_dump_traceback_later()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        slow, number = outcome.slowest
        ends = ", ".join(f"{count} {end}" for end, count in sorted(outcome.ends.items()))
        took = f"{time.perf_counter() - began:.1f} s, the slowest {slow:.2f} s (number {number})"
        print(f"{name}: {ends}; {took}, memory +{grown:.0f} MiB", flush=True)


def failures(name: str, made: Path, seed: int, numbers: range) -> list[int]:
    """The numbers of the inputs that a process did not survive; the rest is read by another."""
    failed: list[int] = []
    context = multiprocessing.get_context("fork")
    while numbers:
        at = context.Value("q", -1)
        process = context.Process(target=guarded, args=(name, made, seed, numbers, at))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert at.value >= 0, f"{name}: what is valid is refused"
        print(f"{name}: number {at.value} ended the process with {process.exitcode}", file=sys.stderr, flush=True)
        failed.append(at.value)
        numbers = range(at.value + 1, numbers.stop)
    return failed
