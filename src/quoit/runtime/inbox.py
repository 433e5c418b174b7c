"""Frames of other processes, each once (B1): duplicates and replays are dropped, what is missing is noticed.

Every source numbers its frames to a process from 1. Order does not matter, since the kernel orders events by
their due time; so a frame that overtook another is taken at once, and only the numbers are kept until the gap
is closed. A gap that stays is a lost frame: `lost` hears of it, for the run is not what it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Frame = tuple[Any, ...]
PATIENCE = 1024
"""Frames of a source that may overtake a missing one before it counts as lost."""


class Inbox:
    """Hands each frame to `receive` once; `lost(source, number)` is called once for each that stays away."""

    def __init__(self, receive: Callable[[Frame], None], lost: Callable[[int, int], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._next: dict[int, int] = {}
        self._ahead: dict[int, set[int]] = {}
        self.duplicates = 0

    def take(self, source: int, number: int, frame: Frame) -> None:
        """One frame as it came from the bus."""
        expected = self._next.get(source, 1)
        ahead = self._ahead.setdefault(source, set())
        if number < expected or number in ahead:
            self.duplicates += 1
            return
        ahead.add(number)
        while expected in ahead:
            ahead.remove(expected)
            expected += 1
        self._next[source] = expected
        self._receive(frame)
        if len(ahead) > PATIENCE:
            self._give_up(source, expected, ahead)

    def _give_up(self, source: int, expected: int, ahead: set[int]) -> None:
        first = min(ahead)
        for number in range(expected, first):
            self._lost(source, number)
        while first in ahead:
            ahead.remove(first)
            first += 1
        self._next[source] = first
