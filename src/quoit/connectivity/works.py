"""Planned works on fibres: announced, drained, down, given back (E1, E3, A2).

Nobody is cut off by works that are announced: services go elsewhere before the spans are taken down, and without force
nothing is taken down that somebody still uses. Where the technicians really are, nobody here knows; that light goes in
the time of works is what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.connectivity.api import (
    ANNOUNCED,
    CHANNEL_NEWS,
    CLASSICAL,
    CONTROLLER,
    DOWN,
    DRAINING,
    GIVEN_BACK,
    HELD,
    OFF,
    OTN,
    WORKS,
    WORKS_NEWS,
    AnnounceWorks,
    ChannelRow,
    CloseSpans,
    EndWorks,
    ExtinguishChannel,
    GetServices,
    GetWorks,
    LightChannel,
    MoveService,
    Services,
    WorksRow,
    WorksRows,
)
from quoit.connectivity.inventory import Inventory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 600_000_000_000
MOST_WORKS = 1_000


@message("connectivity.Step")
class Step(Message):
    """To oneself: the next state of some works is due."""

    works: str
    count: int
    state: str


@dataclass
class _Works:
    asked: AnnounceWorks
    count: int
    state: str = ANNOUNCED
    moved: list[str] = field(default_factory=list)
    silenced: list[ChannelRow] = field(default_factory=list)


class PlannedWorks(Element):
    """Keeps the calendar of works, and has services give way."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT
    realises = ("A2", "E1", "E3")
    subscribes = (f"{CHANNEL_NEWS}.*",)

    def __init__(self, place: str, inventory: Inventory, planned: tuple[AnnounceWorks, ...] = ()) -> None:
        """`planned`: works that are known at the start."""
        super().__init__(WORKS, place)
        self._inventory = inventory
        self._planned = planned
        self._works: dict[str, _Works] = {}
        self._count = 0

    async def start(self, ctx: Context) -> None:
        for asked in self._planned:
            ctx.tell(OTN, CloseSpans(asked.works, asked.spans))
            self._announce(ctx, asked)

    @handles(AnnounceWorks)
    async def on_announce(self, ctx: Context, msg: AnnounceWorks) -> WorksRow:
        known = self._works.get(msg.works)
        if known is not None and known.state != GIVEN_BACK:
            raise Problem("channel-exists", f"there are works {msg.works} already; end them first")
        if not msg.works or not msg.spans or len(self._works) >= MOST_WORKS:
            raise Problem("malformed", f"expected a name, spans, and at most {MOST_WORKS} works")
        for span in msg.spans:
            if span not in self._inventory.spans:
                raise Problem("no-such-element", f"expected a span of this plant, found {span!r}", span=span)
        if msg.end_ns <= max(msg.start_ns, ctx.now) or msg.lead_ns < 0:
            raise Problem("malformed", "expected an end after the start and after now, and a lead of at least 0")
        await self._keep(ctx, msg.works, msg.spans)
        if not msg.force:
            stuck = await self._without_way(ctx, msg.spans)
            if stuck:
                await self._keep(ctx, msg.works, ())
                detail = f"{', '.join(stuck)} cannot give way; say force to cut them off"
                raise Problem("no-route", detail, reason="works", stuck=stuck)
        return self._announce(ctx, msg)

    def _announce(self, ctx: Context, asked: AnnounceWorks) -> WorksRow:
        self._count += 1
        works = self._works[asked.works] = _Works(asked, self._count)
        draining_ns = asked.start_ns - asked.lead_ns
        for state, at_ns in ((DRAINING, draining_ns), (DOWN, asked.start_ns), (GIVEN_BACK, asked.end_ns)):
            ctx.tell(self.name, Step(asked.works, works.count, state), after=max(0, at_ns - ctx.now))
        return self._tell(ctx, works)

    async def _keep(self, ctx: Context, works: str, spans: tuple[str, ...]) -> None:
        await ctx.ask(OTN, CloseSpans(works, spans), within=WITHIN)

    async def _without_way(self, ctx: Context, spans: tuple[str, ...]) -> list[str]:
        """Channels on the spans that nobody would move, and services that have no other way."""
        services: Services = await ctx.ask(OTN, GetServices(), within=WITHIN)
        there = [row for row in services.rows if set(row.spans) & set(spans)]
        stuck = set(self._strangers(spans, services))
        for row in there:
            try:
                await ctx.ask(OTN, MoveService(row.service, dry=True), within=WITHIN)
            except Problem as problem:
                if problem.code not in ("no-route", "switching"):
                    raise
                stuck.add(row.service)
        return sorted(stuck)

    def _strangers(self, spans: tuple[str, ...], services: Services) -> list[str]:
        """Channels that carry no service."""
        known = {row.service for row in services.rows} | {row.channel for row in services.rows}
        return [
            name
            for name, channel in self._inventory.channels.items()
            if set(channel.spans) & set(spans) and name not in known and name.removesuffix(":companion") not in known
        ]

    # -- the calendar --------------------------------------------------------------------------------

    @handles(Step)
    async def on_step(self, ctx: Context, msg: Step) -> None:
        works = self._works.get(msg.works)
        if works is None or works.count != msg.count or works.state == GIVEN_BACK:
            return
        if msg.state == GIVEN_BACK:
            await self.on_end(ctx, EndWorks(msg.works))
        elif msg.state == DRAINING and works.state == ANNOUNCED:
            await self._drain(ctx, works)
        elif msg.state == DOWN and works.state in (ANNOUNCED, DRAINING):
            await self._take_down(ctx, works)

    async def _drain(self, ctx: Context, works: _Works) -> None:
        """Services give way one after the other: each is dark for its own switches only."""
        works.state = DRAINING
        self._tell(ctx, works)
        services: Services = await ctx.ask(OTN, GetServices(), within=WITHIN)
        for row in services.rows:
            if set(row.spans) & set(works.asked.spans):
                try:
                    await ctx.ask(OTN, MoveService(row.service), within=WITHIN)
                except Problem as problem:
                    ctx.emit("works.stuck", works=works.asked.works, service=row.service, why=problem.detail)
                    continue
                works.moved.append(row.service)
        self._tell(ctx, works)

    async def _take_down(self, ctx: Context, works: _Works) -> None:
        left = self._on(works.asked.spans)
        if left and not works.asked.force:
            works.state = HELD
            self._tell(ctx, works)
            return
        works.state = DOWN
        for channel in left:
            if channel.kind == CLASSICAL and channel.launch_dbm is not None:
                # Whoever opens the fibre shall not look into a laser.
                await ctx.ask(CONTROLLER, ExtinguishChannel(channel.channel), within=WITHIN)
                works.silenced.append(channel)
        self._tell(ctx, works)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.note(msg)
        for works in self._works.values():
            if works.state == HELD and not self._on(works.asked.spans):
                await self._take_down(ctx, works)

    def _on(self, spans: tuple[str, ...]) -> list[ChannelRow]:
        """Channels on some spans, those that are off left out."""
        return [c for c in self._inventory.channels.values() if set(c.spans) & set(spans) and c.state != OFF]

    @handles(EndWorks)
    async def on_end(self, ctx: Context, msg: EndWorks) -> WorksRow:
        works = self._works.get(msg.works)
        if works is None:
            raise Problem("no-such-element", f"expected works, found {msg.works!r}", works=msg.works)
        if works.state == GIVEN_BACK:
            return self._row(works)
        works.state = GIVEN_BACK
        for row in works.silenced:
            if row.channel in self._inventory.channels and row.launch_dbm is not None:
                again = LightChannel(row.channel, row.source, row.spans, row.centre_mhz, row.width_mhz, row.launch_dbm)
                try:
                    await ctx.ask(CONTROLLER, again, within=WITHIN)
                except Problem as problem:  # somebody has changed it meanwhile
                    ctx.emit("works.stuck", works=msg.works, service=row.channel, why=problem.detail)
        await self._keep(ctx, msg.works, ())
        return self._tell(ctx, works)

    @handles(GetWorks)
    async def on_get(self, ctx: Context, msg: GetWorks) -> WorksRows:
        return WorksRows(tuple(self._row(works) for works in self._works.values()))

    def _row(self, works: _Works) -> WorksRow:
        asked = works.asked
        stuck = () if works.state == GIVEN_BACK else tuple(sorted(c.channel for c in self._on(asked.spans)))
        return WorksRow(asked.works, asked.spans, asked.start_ns, asked.end_ns, works.state, tuple(works.moved), stuck)

    def _tell(self, ctx: Context, works: _Works) -> WorksRow:
        row = self._row(works)
        ctx.emit(f"works.{works.state}", works=row.works, spans=list(row.spans), stuck=list(row.stuck))
        ctx.publish(f"{WORKS_NEWS}.{row.works}", row)
        return row
