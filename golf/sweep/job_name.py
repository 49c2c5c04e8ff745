"""The name of a job in a sweep: what was asked of it, fit for a directory."""

import hashlib
import re
from collections.abc import Sequence

LONGEST = 100  # characters, before the hash
NOT_SAID = ("hydra.", "launch.", "sweep.")  # where and how a job runs, not what it computes
NOT_ASKED = ("hydra.", "hydra/", "sweep.", "sweep=")  # of which a job may have others when its sweep is resumed


def job_name(overrides: Sequence[str]) -> str:
    """As in `seed=42,ttt.epochs=0-1f0c77a2`.

    Values that are paths are left out of the name. The hash is of all that was asked, so that no two jobs of a sweep
    share a name, and the same command gives the same names.
    """
    asked = without(NOT_ASKED, overrides)
    told = [override for override in without(NOT_SAID, asked) if "/" not in override]
    said = [re.sub(r"[^\w.,=+~-]+", "_", override) for override in told]
    digest = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:8]
    return "-".join([*filter(None, [",".join(said)[:LONGEST].strip("-_.,")]), digest])


def without(prefixes: tuple[str, ...], overrides: Sequence[str]) -> list[str]:
    """The overrides of other keys and groups."""
    return [override for override in overrides if not override.lstrip("+~").startswith(prefixes)]
