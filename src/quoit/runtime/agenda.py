"""Events that wait, in the order (due, sender, sender's count).

Events of one instant share a slot, and only the instants are in a heap: a network that does much at the
same nanosecond (telemetry each second, links of equal length) pays for one comparison of integers where
a heap of events would pay for many of tuples. What falls due within the open instant waits apart in
`late` and is merged in by whoever handles events.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

Entry = tuple[int, int, int, Any, int]
"""(order, kind, target, payload, correlation); `order` is unique and sorts first."""

COUNT_BITS = 40
CLOSED = -1


def order_of(sender: int, count: int) -> int:
    """Sender's index and its running count (below 2**40) as one sortable integer."""
    return sender << COUNT_BITS | count


class Agenda:
    """Slots of entries by due time. `slot` is the open one, last entry first; `late` joined it since."""

    __slots__ = ("_dues", "_slots", "due", "late", "slot")

    def __init__(self) -> None:
        self._dues: list[int] = []
        self._slots: dict[int, list[Entry]] = {}
        self.due = CLOSED
        self.slot: list[Entry] = []
        self.late: list[Entry] = []

    def put(self, due: int, entry: Entry) -> None:
        """Add an entry that falls due at `due` (not before the open instant)."""
        slot = self._slots.get(due)
        if slot is not None:
            slot.append(entry)
        elif due == self.due:
            heappush(self.late, entry)
        else:
            self._slots[due] = [entry]
            heappush(self._dues, due)

    def keep(self, wanted: Callable[[Entry], bool]) -> None:
        """Drop all other entries. Not while a slot is open."""
        slots = {due: [e for e in slot if wanted(e)] for due, slot in self._slots.items()}
        self._slots = {due: slot for due, slot in slots.items() if slot}
        self._dues = sorted(self._slots)  # a sorted list is a heap

    @property
    def next_due(self) -> int | None:
        """When the earliest waiting entry is due."""
        if self.slot or self.late:
            return self.due
        return self._dues[0] if self._dues else None

    def open(self, until: int) -> int:
        """Open the earliest slot if it is due by `until`; returns how many entries it has, 0 for none."""
        dues = self._dues
        if not dues or dues[0] > until:
            self.due = CLOSED
            return 0
        self.due = due = heappop(dues)
        self.slot = slot = self._slots.pop(due)
        if len(slot) > 1:
            slot.sort(reverse=True)
        return len(slot)

    def close(self) -> int:
        """Put what is left of the open slot back, to be opened again; returns how many entries that were."""
        rest = self.slot + self.late
        if rest:
            self._slots[self.due] = rest
            heappush(self._dues, self.due)
            self.slot = []
            self.late.clear()
        self.due = CLOSED
        return len(rest)
