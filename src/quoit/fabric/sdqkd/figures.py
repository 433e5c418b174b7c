"""What an agent knows of its links and applications: states, rates, and when they are worth a notification."""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.tree import Performance, PhysPerf

RATE_STEP, QBER_STEP = 0.2, 0.01
"""A change of the key rate by this share, or of the error rate by so much, is a major one."""
RELIEF = 0.9
"""An overloaded link is so until less than this share of its rate is asked for."""
PERIODS_KEPT = 10
SECOND = 10**9


@dataclass
class LinkFigures:
    """One physical link. `bps` is None before the first block since it was last without light."""

    bps: float | None = None
    qber: float | None = None
    pool_bits: int = 0
    pool_open: bool = False
    dark: bool = False
    quarantined: bool = False
    parked: bool = False
    overloaded: bool = False
    told: tuple[float, float] | None = None
    shown: str | None = None

    def status(self, enabled: bool) -> str:
        """Makes keys; makes none but has some; waits; has none and makes none."""
        runs = enabled and not (self.dark or self.quarantined or self.parked)
        if runs and self.bps:
            return tree.ACTIVE
        if self.pool_open:
            return tree.PASSIVE
        return tree.PENDING if enabled else tree.OFF

    def becomes(self, enabled: bool) -> str | None:
        """The status, if it is another than was told last; then it counts as told."""
        status, was = self.status(enabled), self.shown
        self.shown = status
        return status if status != was else None

    def stop(self) -> None:
        """It makes no key now; what it does when it comes back is news."""
        self.bps = self.told = None

    def is_news(self) -> bool:
        """Whether rate and error rate differ so much from what was told last; then they count as told."""
        now = (self.bps or 0.0, self.qber or 0.0)
        if self.told is not None:
            rate, qber = self.told
            if abs(now[0] - rate) <= RATE_STEP * max(rate, 1.0) and abs(now[1] - qber) <= QBER_STEP:
                return False
        self.told = now
        return True

    def performance(self, expected_bps: float, inner_bps: float, *, physical: bool = True) -> Performance:
        """`expected_bps`: what all applications ask for; `inner_bps`: the node's own part of it, relay."""
        bps = self.bps or 0.0
        perf = () if self.qber is None or not physical else (PhysPerf(tree.QBER, tree.decimal(self.qber)),)
        left = max(0.0, bps - inner_bps)
        return Performance(tree.rate(expected_bps), tree.rate(bps), tree.rate(left), perf)

    def overload_begins(self, expected_bps: float) -> bool:
        """Whether more is asked for than it makes, and was not before."""
        was, bps = self.overloaded, self.bps or 0.0
        self.overloaded = expected_bps > bps * (RELIEF if was else 1.0)
        return self.overloaded and not was


@dataclass
class AppFigures:
    """One application, registered or not: what it asked for, and what it got by periods."""

    server: str
    clients: tuple[str, ...]
    least_bps: float
    priority: int
    seen_ns: int
    told_ns: int | None = None
    left: bool = False
    bits: int = 0
    since_ns: int = 0
    created_ns: int = 0
    periods: list[tuple[int, int, int]] = field(default_factory=list)

    def close_period(self, now: int) -> None:
        """What was used until now is one period's; a full counter ends a period early by itself."""
        self.periods = [*self.periods, (self.since_ns, now, min(self.bits, tree.UINT32))][-PERIODS_KEPT:]
        self.since_ns, self.bits = now, 0

    def use(self, bits: int, now: int) -> None:
        if self.bits + bits > tree.UINT32:  # consumed_bits has 32 bits: it must not wrap
            self.close_period(now)
        self.bits += bits
        self.seen_ns = now
