"""One line of the table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


class Skipped(Exception):
    """A row that cannot be measured here; the message says why, in one line."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """`values` and `plain` hold one number in `unit` for each repeat; `plain` is None without a comparison. For units
    per second higher is better, for all others lower."""

    name: str
    what: str
    unit: str
    values: Sequence[float]
    plain: Sequence[float] | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times better than the plain path, from the medians."""
        if self.plain is None:
            return None
        value, plain = median(self.values), median(self.plain)
        return value / plain if self.unit.endswith("/s") else plain / value

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "what": self.what,
            "value": median(self.values),
            "unit": self.unit,
            "plain": None if self.plain is None else median(self.plain),
            "ratio": self.ratio,
            "repeats": {"value": list(self.values), "plain": None if self.plain is None else list(self.plain)},
            "details": self.details,
        }
