"""A name that does not exist, and the one that was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def no_such(kind: str, where: str, name: str, names: Iterable[str]) -> str:
    """The complaint, as in `ttt.hash_embedd: no such key; did you mean hash_embed? (keys: epochs, hash_embed)`."""
    known = sorted(names)
    hint = "".join(f"; did you mean {near}?" for near in get_close_matches(name, known, n=1))
    return f"{where}: no such {kind}{hint} ({kind}s: {', '.join(known) or 'none'})"
