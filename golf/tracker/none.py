"""No tracker: the console and metrics.jsonl suffice."""

from golf.events import Listener


class NoTracker(Listener):
    """Ignores everything."""
