"""Who goes first when something is short: memories of a node, places on a link. Pure bookkeeping (B6, D1).

Whoever could not be served and tries again is remembered for a while. What it needs is kept from all who come after it:
those of lower priority, and of equal priority those who have waited for less long. Waiting raises a priority by one for
every `AGE_NS`, so nobody waits for ever behind those who keep coming. Nobody is made to give back what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AGE_NS = 5_000_000_000
HIGHEST = 7
MEMORY_NS = 1_000_000_000
"""How long a claim that is not tried again is remembered: longer than between two tries of anybody who waits."""
MOST_CLAIMS = 4_096


@dataclass
class Claim:
    """`needs`: how many of each resource. `since_ns`: when it was tried first, `seen_ns` last."""

    priority: int
    needs: Mapping[str, int]
    since_ns: int
    seen_ns: int


class Claims:
    """Those who wait for resources, by name."""

    def __init__(self) -> None:
        self._waiting: dict[str, Claim] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, name: str, priority: int, needs: Mapping[str, int], now: int) -> None:
        """It could not be served now, and will try again. Beyond `MOST_CLAIMS` a new one is not remembered."""
        self._forget(now)
        known = self._waiting.get(name)
        if known is None and len(self._waiting) >= MOST_CLAIMS:
            return
        since_ns = now if known is None else known.since_ns
        self._waiting[name] = Claim(priority, dict(needs), since_ns, now)

    def over(self, name: str) -> None:
        """It has been served, or has given up."""
        self._waiting.pop(name, None)

    def kept(self, name: str, priority: int, resource: str, now: int) -> int:
        """How many of a resource are kept from this one for those who go before it."""
        self._forget(now)
        mine = self._waiting.get(name)
        since_ns = now if mine is None else mine.since_ns
        own = _order(priority, since_ns, now), name
        return sum(
            claim.needs.get(resource, 0)
            for other, claim in self._waiting.items()
            if other != name and (_order(claim.priority, claim.since_ns, now), other) < own
        )

    def _forget(self, now: int) -> None:
        gone = [name for name, claim in self._waiting.items() if now - claim.seen_ns > MEMORY_NS]
        for name in gone:
            del self._waiting[name]


def _order(priority: int, since_ns: int, now: int) -> tuple[int, int]:
    """The smaller goes first."""
    return -min(HIGHEST, priority + (now - since_ns) // AGE_NS), since_ns
