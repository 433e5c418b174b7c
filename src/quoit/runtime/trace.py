"""What happened, in order: the event log of a run, and the digest that names it.

Each event is (time, element, its running number, event name, fields). Two runs are the same when their
digests are. Fields that must differ between runs of the same seed (identifiers drawn at the edge, marks
of key bytes) are named in `UNDIGESTED`; they are logged and left out of the digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

UNDIGESTED = frozenset({"key_id", "key_ids", "unit_id", "mark"})

Sink = Callable[["Event"], None]


class Event(msgspec.Struct, frozen=True):
    """One entry of the log. `t` in nanoseconds since the scenario's start; `n` counts per element."""

    t: int
    by: str
    n: int
    event: str
    fields: dict[str, Any]
    order: int = 0


_json = msgspec.json.Encoder(order="deterministic")


def to_line(event: Event) -> bytes:
    """The event as one JSON line."""
    return _json.encode({"t": event.t, "by": event.by, "n": event.n, "event": event.event, **event.fields}) + b"\n"


def canonical_line(event: Event) -> bytes:
    """The event as it enters the digest."""
    fields = {k: v for k, v in event.fields.items() if k not in UNDIGESTED}
    return _json.encode([event.t, event.by, event.n, event.event, fields]) + b"\n"


class Digest:
    """SHA-256 over all events in the order (time, element, running number), whatever order they came in.

    Events of one instant may arrive in any order; an instant is closed by the first later event.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._instant: list[Event] = []
        self.count = 0

    def __call__(self, event: Event) -> None:
        if self._instant and event.t != self._instant[0].t:
            self._close_instant()
        self._instant.append(event)
        self.count += 1

    def _close_instant(self) -> None:
        self._instant.sort(key=lambda e: (e.by, e.n))
        for event in self._instant:
            self._hash.update(canonical_line(event))
        self._instant.clear()

    def hexdigest(self) -> str:
        """The digest of all events so far."""
        self._close_instant()
        return self._hash.hexdigest()


def digest_of(events: Iterable[Event]) -> str:
    """Digest of a whole log, merged from any number of processes."""
    digest = Digest()
    for event in sorted(events, key=lambda e: e.t):
        digest(event)
    return digest.hexdigest()
