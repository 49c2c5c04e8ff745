"""Memory that does not suffice, told in one line."""

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from golf.errors import UserError, causes
from golf.utils.nested import lookup

# What PyTorch, CUDA, its libraries and NumPy say where they raise no error of their own kind.
WORDS = re.compile(r"out of memory|not enough memory|(can't|unable to) allocate|ALLOC_FAILED", re.IGNORECASE)
WANTED = re.compile(r"allocate ([\d.,]+ \w+)")


@contextmanager
def enough_for(what: str, config: Mapping[str, Any], advice: Iterable[str]) -> Iterator[None]:
    """Around what takes memory: raises UserError if there is not enough. `advice`: what helps, such as "lower
    evaluation.batch_tokens", by the configuration's names; those that it lacks are left out."""
    try:
        yield
    except Exception as error:
        found = next((each for each in causes(error) if _is_of_memory(each)), None)
        if found is None or isinstance(error, UserError):
            raise
        wanted = WANTED.search(str(found))
        more = f" ({wanted[1]} more were asked for)" if wanted else ""
        known = [f"{line}={value}" for line in advice if (value := lookup(config, line.split()[-1])) is not None]
        raise UserError(f"{what}: out of memory{more}; {', or '.join(known) or 'take a smaller model'}") from error


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(WORDS.search(str(error))))
