"""The events and metrics of a stage, recorded so that a cached or a resumed stage can emit them again."""

import json
from pathlib import Path
from typing import Any

from golf.errors import excerpt, require
from golf.events import Listener
from golf.utils.reading import MAX_SHOWN, read_json

EVENTS = "events.json"  # in a directory of the cache, and of a snapshot
MAX_BYTES = 1 << 28  # a long training emits much

# ["event", name, None, fields] or ["metrics", stage, step, values]
Events = list[list[Any]]


class EventRecorder(Listener):
    """Passes events and metrics on to `listener`, and keeps them in `events`."""

    def __init__(self, listener: Listener):
        self.listener = listener
        self.events: Events = []

    def event(self, name: str, **fields: Any) -> None:
        self.listener.event(name, **fields)
        self.events.append(["event", name, None, fields])

    def metrics(self, stage: str, step: int, **values: float) -> None:
        self.listener.metrics(stage, step, **values)
        self.events.append(["metrics", stage, step, values])

    def progress(self, stage: str, done: float, total: float, **notes: float) -> None:
        self.listener.progress(stage, done, total, **notes)

    def catch_up(self, events: Events) -> None:
        """Continue after the `events` of an earlier process, which began with those recorded here."""
        replay(events[len(self.events) :], self.listener)
        self.events = list(events)


def replay(events: Events, listener: Listener) -> None:
    """Emit recorded events again."""
    for kind, name, step, values in events:
        if kind == "metrics":
            listener.metrics(name, step, **values)
        else:
            listener.event(name, **values)


def read_events(directory: Path) -> Events:
    """The events that are kept in a directory. Raises UserError if they cannot be read."""
    path = directory / EVENTS
    events: Events = read_json(path, Events, MAX_BYTES, allow_nan=True)
    for event in events:
        require(_is_event(event), f"{path}: {excerpt(str(event), MAX_SHOWN)} is not an event")
    return events


def to_json(events: Events) -> str:
    """The content of the file: NaN may stand in it."""
    return json.dumps(events)


def _is_event(event: list[Any]) -> bool:
    if len(event) != 4 or not isinstance(event[1], str) or not isinstance(event[3], dict):
        return False
    kind, _, step, values = event
    if kind == "event":
        return step is None and not {"self", "name"} & values.keys()
    numbers = all(type(value) in (int, float) for value in values.values())
    return kind == "metrics" and type(step) is int and numbers and not {"self", "stage", "step"} & values.keys()
