"""What the detecting end of a link sees for itself, and acts on whatever anybody tells it.

Telemetry passes through agents and over networks that may be in somebody's hands, and control may be a stranger with a
good certificate. So the receiver has the tests that need nothing but its own detectors: its test errors, the shares of
its intensities, its supply current. While they speak, it *holds* its link: it makes no key, and has the key management
agents of both ends drop what may have been touched. No order ends that; its own readings do.

Named approximation: the order to the far end's agent goes as one message, on the link's authenticated channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from quoit.fabric import api
from quoit.fabric.api import LinkReading
from quoit.fabric.kma import DiscardFrom, Readmit
from quoit.fabric.reporting import Agent
from quoit.fabric.signs import BatteryPlan, Signs
from quoit.runtime.context import Context
from quoit.runtime.wire import Message, message

REACH = 1_000_000
"""Blocks ahead that are dropped should they still come; the end of the hold ends it."""


@message("fabric.LinkHeld")
class LinkHeld(Message):
    """The receiver to management: I hold this link, of my own. Blocks from `first_block` on are dropped at both
    ends."""

    link: str
    first_block: int
    why: str
    at_ns: int


@message("fabric.HoldEnded")
class HoldEnded(Message):
    """The receiver to management: its readings are as they were; from block `from_block` on key may be made."""

    link: str
    from_block: int


@message("fabric.OrderWaits")
class OrderWaits(Message):
    """The receiver to management: I was told to trust the link, and hold it."""

    link: str
    at_ns: int


@message("fabric.KeyInQuarantine")
class KeyInQuarantine(Message):
    """The meters to management: a link made key long after it was quarantined."""

    link: str
    block: int


@dataclass(frozen=True)
class GuardPlan:
    """What the tests must know, and how long readings must be as they were before the link is let go."""

    tests: BatteryPlan
    hold_ns: int


class EndGuard:
    """Of one link's receiver."""

    def __init__(self, link: str, ends: tuple[str, str], plan: GuardPlan, agent: Agent) -> None:
        self._link, self._ends, self._hold_ns, self._agent = link, ends, plan.hold_ns, agent
        # Rates are for telemetry: a change of one alone makes nothing void. Until a baseline is learned, a block's own
        # verdict is what stops it.
        self._signs = Signs(replace(plan.tests, ceiling=1.0))
        self._calm_ns = 0
        self.held = False

    def look(self, ctx: Context, reading: LinkReading, trusted: bool) -> bool:
        """Take in a reading as it is; says whether the link is held from now on, or not any more. Of a link that is
        not trusted anyway (management knows of a cut, say) nothing is learned."""
        if self.held:
            return self._wait_for_calm(ctx, reading)
        if not trusted:
            self._signs.skip(reading.block)
            return False
        found = self._signs.see(reading)
        if not found:
            return False
        first, why = found[0].first_block, found[0].why
        self.held, self._calm_ns = True, 0
        ctx.emit("link.held", link=self._link, first_block=first, why=why)
        for node in self._ends:
            order = DiscardFrom(self._link, first, first + REACH, f"held by its receiver: {why}", held=True)
            ctx.tell(api.kma(node), order)
        self._tell(ctx, LinkHeld(self._link, first, why, ctx.now))
        return True

    def _wait_for_calm(self, ctx: Context, reading: LinkReading) -> bool:
        self._signs.skip(reading.block)
        if not self._signs.calm(reading):
            self._calm_ns = 0
            return False
        if not self._calm_ns:
            self._calm_ns = ctx.now
        if ctx.now - self._calm_ns < self._hold_ns:
            return False
        self.held = False
        self._signs.rearm()
        return True

    def let_go(self, ctx: Context, from_block: int) -> None:
        """Tell that it is over. What management has ordered stands."""
        ctx.emit("link.let_go", link=self._link, from_block=from_block)
        self._tell(ctx, HoldEnded(self._link, from_block))
        for node in self._ends:
            ctx.tell(api.kma(node), Readmit(self._link, from_block, held=True))

    def trusted_again(self, ctx: Context) -> bool:
        """Somebody gives the link back: whether it may make key. If not, management hears of the order."""
        if self.held:
            ctx.emit("link.order_waits", link=self._link)
            self._tell(ctx, OrderWaits(self._link, ctx.now))
            return False
        self._signs.rearm()  # what its readings were meanwhile says nothing
        return True

    def _tell(self, ctx: Context, news: Message) -> None:
        """By the agent that reports for this end, so whoever has that one can keep it back."""
        self._agent.news(ctx, news)
