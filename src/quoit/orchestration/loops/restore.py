"""A fibre is cut: move the quantum light of a link to fibres that carry it (G2, E3).

The power meters at the ends of the spans say which one is dark. A link that is dark for another reason, such as a
switch that lends its device to another link, is not this loop's affair. It does not move back by itself when the fibre
is whole again: each move costs key.
"""

from __future__ import annotations

from typing import Any

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    PATH_NEWS,
    SPAN_NEWS,
    SWITCHING,
    ChannelRow,
    PathDown,
    PathUp,
    SpanLight,
)
from quoit.orchestration.loops.channel import SOON_NS, ChannelLoop, LinkFacts
from quoit.planes.loop import Action, Finding, LoopPlan
from quoit.planes.loop_locks import LOCK_NEWS
from quoit.planes.management import Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum, handles

CUT = "no light on its path"


class RestoreLoop(ChannelLoop):
    """Watches the light of one link's path."""

    stratum, realises = Stratum.CONNECTIVITY, ("G2", "E3")

    def __init__(self, place: str, plan: LoopPlan, facts: LinkFacts, most_loss_db: float) -> None:
        super().__init__(place, plan, facts, most_loss_db)
        self.subscribes = (LOCK_NEWS, f"{CHANNEL_NEWS}.{facts.link}", f"{PATH_NEWS}.{facts.link}", f"{SPAN_NEWS}.*")
        self._dark: set[str] = set()
        self._path: tuple[str, ...] = ()
        self._down_ns: int | None = None

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        (self._dark.add if msg.loss_db is None else self._dark.discard)(msg.span)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        if msg.state != SWITCHING:
            self._path = msg.spans

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        self._down_ns = msg.at_ns

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        if self._down_ns is not None and self.acting:
            ctx.emit("loop.restored", link=msg.link, dark_ns=msg.at_ns - self._down_ns)
        self._down_ns = None
        self.alarms.clear(ctx, self.facts.link, CUT)

    async def monitor(self, ctx: Context) -> list[str]:
        """The dark spans of the link's path."""
        if not self._path:
            self._path = (await self.places(ctx)).channel.spans
        return [span for span in self._path if span in self._dark]

    async def analyse(self, ctx: Context, seen: list[str]) -> Finding | None:
        if not seen:
            return None
        places = await self.places(ctx)
        if places.airy or places.blocked:
            return None
        text = f"{', '.join(seen)} {'are' if len(seen) > 1 else 'is'} dark"
        self.alarms.raise_(ctx, self.facts.link, CUT, Severity.MAJOR, text)
        return Finding(self.facts.link, f"{CUT}: {', '.join(seen)}", {"dark": seen})

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        places = await self.places(ctx)
        for soon_ns in (SOON_NS, 0):  # a fibre on which works begin soon is better than a dark one
            others = await self.others(ctx, places, await self.unusable(ctx, soon_ns))
            if others:
                return self.move(places, max(others, key=self.value), finding.cause)
        return None

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        return not seen and self._down_ns is None
