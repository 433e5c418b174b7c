"""L5: works are planned; have a link empty or elsewhere before they begin, and back when they end (G2, E5).

A lead time before works on fibres the fabric takes the link's flows away, as far as there is another way for them, and
then its light goes to another path if one is free. From there the link carries keys again. Without another path it
stays drained: what is in its pools can still be used if nothing else is left. Before works on the link's devices it is
drained, for other light would not help. After the works the link is drained once more, its light goes home, and the
flows may come back. Works are those of the one calendar, whichever side announced them.

`WorksLoop` moves the light of links that are their own. `DrainLoop` is for the others: the optical network moves its
services itself, and links over pairs have no light.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import GetInventory, InventoryRows, RetuneChannel, WorksRow
from quoit.orchestration.loops.calendar import WITHIN, drain, left_on, say_out_of_the_way, works_ahead
from quoit.orchestration.loops.channel import SWITCHED_WITHIN, ChannelLoop, LinkFacts
from quoit.orchestration.loops.places import Place, Places
from quoit.planes.loop import Action, ClosedLoop, Finding, LoopPlan
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum

PLANNED, OVER = "planned works", "works are over"


@dataclass(frozen=True)
class _Due:
    """Works that are due or under way: on the link's devices, and on the fibres that its light has, or has left."""

    devices: tuple[WorksRow, ...] = ()
    fibres: tuple[WorksRow, ...] = ()

    @classmethod
    def of(cls, works: list[WorksRow], link: str, path: set[str], soon_ns: int) -> _Due:
        soon = [work for work in works if work.start_ns <= soon_ns]
        return cls(
            tuple(work for work in soon if link in work.links),
            tuple(work for work in soon if not path.isdisjoint(work.spans)),
        )

    @property
    def all(self) -> tuple[WorksRow, ...]:
        return tuple({work.works: work for work in (*self.devices, *self.fibres)}.values())


@dataclass(frozen=True)
class _Seen:
    due: _Due
    places: Places = field(repr=False)


def _finding(link: str, work: WorksRow) -> Finding:
    evidence = {
        "works": work.works, "side": work.side, "spans": list(work.spans), "links": list(work.links),
        "start_ns": work.start_ns, "end_ns": work.end_ns,
    }  # fmt: skip
    return Finding(link, f"{PLANNED}: {work.works}", evidence)


class WorksLoop(ChannelLoop):
    """Has one link out of the way of works."""

    stratum, realises = Stratum.FABRIC, ("G2", "E3", "E5")

    def __init__(self, place: str, plan: LoopPlan, facts: LinkFacts, most_loss_db: float, lead_ns: int) -> None:
        """`lead_ns`: how long before works begin their fibres are left."""
        super().__init__(place, plan, facts, most_loss_db)
        self._lead_ns = lead_ns
        self._home: Place | None = None
        self._drained = False

    async def monitor(self, ctx: Context) -> _Seen:
        places = await self.places(ctx)
        path = {*places.channel.spans, *(self._home.spans if self._home is not None else ())}
        due = _Due.of(await works_ahead(ctx), self.facts.link, path, ctx.now + self._lead_ns)
        seen = _Seen(due, places)
        if self._drained and not self.acting and due.all:
            await self._say_if_empty(ctx, due.all)
        return seen

    @property
    def _away(self) -> bool:
        return self._home is not None or self._drained

    async def analyse(self, ctx: Context, seen: _Seen) -> Finding | None:
        link, spans = self.facts.link, seen.places.channel.spans
        digs = [work for work in seen.due.fibres if not set(work.spans).isdisjoint(spans)]
        if seen.due.devices and not self._drained:
            return _finding(link, seen.due.devices[0])
        if digs and not self._drained and not seen.places.blocked:
            return _finding(link, digs[0])
        if not seen.due.devices and self._drained and self._home is not None and not digs:
            return Finding(link, OVER, {"stays": bool(seen.due.fibres)})  # of its devices, at least
        if not seen.due.all and self._away:
            return Finding(link, OVER, {})
        return None

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        places, link = await self.places(ctx), self.facts.link
        if finding.cause == OVER:
            return await self._home_again(ctx, places, finding)
        if link in finding.evidence["links"]:
            return Action(f"drain {link}: {finding.cause}", (f"link {link}",), {})
        avoid = await self.unusable(ctx) | frozenset(finding.evidence["spans"])
        best = max(await self.others(ctx, places, avoid), key=self.value, default=None)
        if best is not None:
            return self.move(places, best, finding.cause)
        return Action(f"drain {link}: {finding.cause}", (f"link {link}",), {})

    async def _home_again(self, ctx: Context, places: Places, finding: Finding) -> Action | None:
        link, home = self.facts.link, self._home
        if home is None or finding.evidence.get("stays"):
            return Action(f"give {link} back", (f"link {link}",), {})
        if not (await self.unusable(ctx)).isdisjoint(home.spans):
            return None  # the fibre is dark still, or others will work on it
        told = {"spans": list(home.spans), "centre_mhz": home.centre_mhz}
        touched = tuple(f"span {span}" for span in sorted({*home.spans, *places.channel.spans}))
        return Action(f"move {link} home to {', '.join(home.spans)}", (f"link {link}", *touched), told)

    async def execute(self, ctx: Context, action: Action) -> str:
        link, spans = self.facts.link, tuple(action.fields.get("spans", ()))
        home = self._home
        if not spans and self._drained:
            return await self._give_back(ctx, "free again")
        left = await drain(ctx, link, True, action.what)
        self._drained = True
        if not spans:
            await self._say_if_empty(ctx)
            return f"drained; {left_on(left)}"
        channel = (await self.places(ctx)).channel
        order = RetuneChannel(link, spans, action.fields["centre_mhz"])
        await ctx.ask(connectivity.CONTROLLER, order, within=SWITCHED_WITHIN)
        going_home = home is not None and spans == home.spans
        self._home = None if going_home else home or Place(channel.spans, channel.centre_mhz)
        return await self._give_back(ctx, f"moved to {', '.join(spans)} with {left_on(left)}")

    async def _say_if_empty(self, ctx: Context, due: tuple[WorksRow, ...] = ()) -> None:
        """Works may begin on what nothing uses; asked again each period, since flows may find another way later."""
        left = await drain(ctx, self.facts.link, True, "drained")
        if not left.flows:
            if not due:
                spans = set((await self.places(ctx)).channel.spans)
                due = _Due.of(await works_ahead(ctx), self.facts.link, spans, ctx.now + self._lead_ns).all
            await say_out_of_the_way(ctx, self.facts.link, due)

    async def _give_back(self, ctx: Context, text: str) -> str:
        await drain(ctx, self.facts.link, False, text)
        self._drained = False
        return text

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        still = await self.analyse(ctx, seen)
        return still is None or still.cause != finding.cause


class DrainLoop(ClosedLoop):
    """Has a link empty before works that somebody else moves its light for, or nobody can."""

    stratum, realises = Stratum.FABRIC, ("G2", "E3", "E5")

    def __init__(self, place: str, plan: LoopPlan, link: str, lead_ns: int) -> None:
        super().__init__(place, plan)
        self._link = link
        self._lead_ns = lead_ns
        self._drained = False

    async def monitor(self, ctx: Context) -> tuple[WorksRow, ...]:
        inventory: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN)
        channel = next((row for row in inventory.channels if row.channel == self._link), None)
        lit = channel is not None and channel.state != connectivity.OFF
        path = set(channel.spans) if channel is not None and lit else set[str]()
        due = _Due.of(await works_ahead(ctx), self._link, path, ctx.now + self._lead_ns).all
        if self._drained and due and not self.acting:
            await self._say_if_empty(ctx, due)
        return due

    async def analyse(self, ctx: Context, seen: tuple[WorksRow, ...]) -> Finding | None:
        if seen and not self._drained:
            return _finding(self._link, seen[0])
        if not seen and self._drained:
            return Finding(self._link, OVER, {})
        return None

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        what = "give {} back" if finding.cause == OVER else "drain {}: " + finding.cause
        return Action(what.format(self._link), (f"link {self._link}",), {"drain": finding.cause != OVER})

    async def execute(self, ctx: Context, action: Action) -> str:
        self._drained = action.fields["drain"]
        left = await drain(ctx, self._link, self._drained, action.what)
        if not self._drained:
            return "free again"
        await self._say_if_empty(ctx, await self.monitor(ctx))
        return f"drained; {left_on(left)}"

    async def _say_if_empty(self, ctx: Context, due: tuple[WorksRow, ...]) -> None:
        left = await drain(ctx, self._link, True, "drained")
        if not left.flows:
            await say_out_of_the_way(ctx, self._link, due)

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        return (finding.cause == OVER) != self._drained
