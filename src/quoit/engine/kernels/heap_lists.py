"""Pending events of the pair machine in plain Python: a list that `heapq` keeps in order."""

from __future__ import annotations

from heapq import heappop, heappush

from quoit.engine.kernels.tables import FAR_FUTURE, IDLE, Tables

Event = tuple[int, int, int, int, int]
"""Time, sequence number, kind, and two arguments by kind."""

_NONE: Event = (FAR_FUTURE, 0, IDLE, 0, 0)


def push(m: Tables, t: int, sequence: int, kind: int, a: int, b: int) -> None:
    """Put an event in."""
    heappush(m.heap, (t, sequence, kind, a, b))


def pop(m: Tables) -> Event:
    """Take the earliest event out; an `IDLE` one in the far future if there is none."""
    return heappop(m.heap) if m.heap else _NONE
