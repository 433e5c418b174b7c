"""Pending events of the pair machine when it is compiled: a binary heap in one array, five numbers an event."""

from __future__ import annotations

from quoit.engine.kernels.tables import FAR_FUTURE, HEAP, IDLE, REFILL, SEQUENCE, Tables

Event = tuple[int, int, int, int, int]


def at(m: Tables, t: int, kind: int, a: int, b: int) -> int:
    """Put an event in; gives its sequence number. From half full on the machine stops after the event that is being
    done, for a larger array: the other half has room for all that one event can put in."""
    heap, scalar = m.heap, m.scalar
    sequence = scalar[SEQUENCE] + 1
    scalar[SEQUENCE] = sequence
    i = scalar[HEAP]
    scalar[HEAP] = i + 1
    if 2 * i >= heap.shape[0]:
        scalar[REFILL] = 1
    while i > 0:
        up = (i - 1) >> 1
        if heap[up, 0] <= t:  # at equal times the one that was put in first
            break
        for n in range(5):
            heap[i, n] = heap[up, n]
        i = up
    heap[i, 0] = t
    heap[i, 1] = sequence
    heap[i, 2] = kind
    heap[i, 3] = a
    heap[i, 4] = b
    return sequence


def pop(m: Tables, until: int) -> Event:
    """Take the earliest event out; if it is later than `until`, leave it and give an `IDLE` one of its time."""
    heap = m.heap
    size = m.scalar[HEAP] - 1
    if size < 0:
        return FAR_FUTURE, 0, IDLE, 0, 0
    if heap[0, 0] > until:
        return heap[0, 0], 0, IDLE, 0, 0
    m.scalar[HEAP] = size
    top = (heap[0, 0], heap[0, 1], heap[0, 2], heap[0, 3], heap[0, 4])
    t, sequence = heap[size, 0], heap[size, 1]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= size:
            break
        other = down + 1
        if other < size and (
            heap[other, 0] < heap[down, 0] or (heap[other, 0] == heap[down, 0] and heap[other, 1] < heap[down, 1])
        ):
            down = other
        if t < heap[down, 0] or (t == heap[down, 0] and sequence < heap[down, 1]):
            break
        for n in range(5):
            heap[i, n] = heap[down, n]
        i = down
    for n in range(5):
        heap[i, n] = heap[size, n]
    return top
