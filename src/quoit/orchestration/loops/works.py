"""L5: works on a fibre are planned; have a link empty or elsewhere before they begin, and back when they end (G2).

A lead time before the works the fabric takes the link's flows away, as far as there is another way for them, and then
its light goes to another path if one is free. From there the link carries keys again. Without another path it stays
drained: what is in its pools can still be used if nothing else is left. After the works the link is drained once
more, its light goes home, and the flows may come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import RetuneChannel, WorksRow
from quoit.fabric import api as fabric
from quoit.fabric.api import DrainLink, LinkDrained
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, WITHIN, ChannelLoop, LinkFacts
from quoit.orchestration.loops.places import Place, Places
from quoit.planes.loop import Action, Finding, LoopPlan
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum

PLANNED, OVER = "planned works", "works are over"


@dataclass(frozen=True)
class _Seen:
    due: WorksRow | None
    """The work that is due or under way on the link's path, or on the one it has left for the works."""
    places: Places


class WorksLoop(ChannelLoop):
    """Has one link out of the way of works."""

    stratum, realises = Stratum.FABRIC, ("G2", "E3")

    def __init__(self, place: str, plan: LoopPlan, facts: LinkFacts, most_loss_db: float, lead_ns: int) -> None:
        """`lead_ns`: how long before works begin their fibres are left."""
        super().__init__(place, plan, facts, most_loss_db)
        self._lead_ns = lead_ns
        self._home: Place | None = None
        self._drained = False
        self._left = 0

    async def monitor(self, ctx: Context) -> _Seen:
        places = await self.places(ctx)
        path = {*places.channel.spans, *(self._home.spans if self._home is not None else ())}
        soon = ctx.now + self._lead_ns
        due = [work for work in await self.works(ctx) if work.start_ns <= soon and not path.isdisjoint(work.spans)]
        return _Seen(next(iter(due), None), places)

    @property
    def _away(self) -> bool:
        return self._home is not None or self._drained

    async def analyse(self, ctx: Context, seen: _Seen) -> Finding | None:
        work = seen.due
        if work is None:
            return Finding(self.facts.link, OVER, {}) if self._away else None
        if self._drained or (self._home is not None and set(work.spans).isdisjoint(seen.places.channel.spans)):
            return None  # it is out of the way
        if seen.places.blocked:
            return None
        evidence = {"works": work.works, "spans": list(work.spans), "start_ns": work.start_ns, "end_ns": work.end_ns}
        return Finding(self.facts.link, f"{PLANNED}: {work.works}", evidence)

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        places, link = await self.places(ctx), self.facts.link
        if finding.cause == OVER:
            if self._home is None:
                return Action(f"give {link} back", (f"link {link}",), {})
            home = self._home
            if not (await self.unusable(ctx)).isdisjoint(home.spans):
                return None  # the fibre is dark still, or others will work on it
            told = {"spans": list(home.spans), "centre_mhz": home.centre_mhz}
            touched = tuple(f"span {span}" for span in sorted({*home.spans, *places.channel.spans}))
            return Action(f"move {link} home to {', '.join(home.spans)}", (f"link {link}", *touched), told)
        avoid = await self.unusable(ctx) | frozenset(finding.evidence["spans"])
        best = max(await self.others(ctx, places, avoid), key=self.value, default=None)
        if best is not None:
            return self.move(places, best, finding.cause)
        return Action(f"drain {link}: {finding.cause}", (f"link {link}",), {})

    async def execute(self, ctx: Context, action: Action) -> str:
        link, spans = self.facts.link, tuple(action.fields.get("spans", ()))
        home = self._home
        if home is None and self._drained:
            return await self._give_back(ctx, "free again")
        left = await self._drain(ctx, True, action.what)
        if not spans:
            return f"drained; {_told(left)}"
        channel = (await self.places(ctx)).channel
        order = RetuneChannel(link, spans, action.fields["centre_mhz"])
        await ctx.ask(connectivity.CONTROLLER, order, within=SWITCHED_WITHIN)
        going_home = home is not None and spans == home.spans
        self._home = None if going_home else home or Place(channel.spans, channel.centre_mhz)
        return await self._give_back(ctx, f"moved to {', '.join(spans)} with {_told(left)}")

    async def _give_back(self, ctx: Context, text: str) -> str:
        await self._drain(ctx, False, text)
        return text

    async def _drain(self, ctx: Context, drain: bool, why: str) -> LinkDrained:
        order = DrainLink(self.facts.link, drain, why)
        answer: LinkDrained = await ctx.ask(fabric.CONTROLLER, order, within=WITHIN)
        self._drained = drain
        return answer

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        still = await self.analyse(ctx, seen)
        return still is None or still.cause != finding.cause


def _told(left: LinkDrained) -> str:
    return f"{len(left.flows)} flow(s) left on it ({', '.join(left.flows)})" if left.flows else "no flow on it"
