"""The names of a job in a sweep: of its directory, and of what it tries."""

import hashlib
import os
import re
from collections.abc import Sequence

LONGEST = 100  # characters, before the hash
NOT_SAID = ("hydra.", "launch.", "sweep.")  # where and how a job runs, not what it computes
# Of which a job may have others when its sweep is resumed.
NOT_ASKED = ("hydra.", "hydra/", "sweep.", "sweep=", "overwrite=")
NO_VARIANT = {"seed", "hydra", "sweep", "tracker", "cache"}  # these repeat, run and record a variant


def job_name(overrides: Sequence[str]) -> str:
    """As in `seed-42_ttt.epochs-0-1f0c77a2`: ASCII that neither a shell nor Hydra wants quoted.

    Values that are paths are left out of the name. The hash is of all that was asked, so that no two jobs of a sweep
    share a name, and the same command gives the same names.
    """
    asked = without(NOT_ASKED, overrides)
    told = [override for override in without(NOT_SAID, asked) if "/" not in override]
    said = [re.sub(r"[^\w.+]+", "-", override, flags=re.ASCII).strip("-") for override in told]
    digest = hashlib.sha256(os.fsencode("\n".join(asked))).hexdigest()[:8]
    return "-".join([*filter(None, ["_".join(said)[:LONGEST].strip("-_.")]), digest])


def without(prefixes: tuple[str, ...], overrides: Sequence[str]) -> list[str]:
    """The overrides of other keys and groups."""
    return [override for override in overrides if not override.lstrip("+~").startswith(prefixes)]


def variant(overrides: Sequence[str]) -> str:
    """What jobs have in common that differ in their seed alone, as in `ttt.epochs=0 codec=lzma`.

    It is `defaults` if nothing was asked. Unlike a name it says all that was asked, paths too.
    """
    asked = [override for override in overrides if re.findall(r"\w+", override)[0] not in NO_VARIANT]
    return " ".join(asked) or "defaults"
