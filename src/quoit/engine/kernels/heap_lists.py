"""Pending events of the pair machine in plain Python: a list that `heapq` keeps in order."""

from __future__ import annotations

from heapq import heappop, heappush

from quoit.engine.kernels.tables import FAR_FUTURE, IDLE, SEQUENCE, Tables

Event = tuple[int, int, int, int, int]
"""Time, sequence number, kind, and two arguments by kind."""


def at(m: Tables, t: int, kind: int, a: int, b: int) -> int:
    """Put an event in; gives its sequence number."""
    scalar = m.scalar
    scalar[SEQUENCE] = sequence = scalar[SEQUENCE] + 1
    heappush(m.heap, (t, sequence, kind, a, b))
    return sequence


def pop(m: Tables, until: int) -> Event:
    """Take the earliest event out; if it is later than `until`, leave it and give an `IDLE` one of its time."""
    heap: list[Event] = m.heap
    if heap and heap[0][0] <= until:
        return heappop(heap)
    return heap[0][0] if heap else FAR_FUTURE, 0, IDLE, 0, 0
