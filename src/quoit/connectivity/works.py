"""The calendar of planned works: announced, drained, down, given back (E1, E3, E5, A2).

There is one, whoever works and whoever announced it: people of the optical network on its fibres, or people of the
quantum network on devices of its links. Nobody is cut off by works that are announced: services of the optical network
go elsewhere before the spans are taken down, closed loops have quantum links out of the way and say so (`GaveWay`), and
without force nothing is taken down that somebody still uses. Where the technicians really are, nobody here knows; that
light goes in the time of works is what they do.
"""

from __future__ import annotations

from collections.abc import Collection
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
    LINK,
    NODE,
    OFF,
    OPTICAL_SIDE,
    OTN,
    QUANTUM_SIDE,
    SPAN,
    WORKS,
    WORKS_NEWS,
    AnnounceWorks,
    ChannelRow,
    CloseSpans,
    EndWorks,
    ExtinguishChannel,
    GaveWay,
    GetServices,
    GetWorks,
    LightChannel,
    MoveService,
    Services,
    WorksRow,
    WorksRows,
)
from quoit.connectivity.inventory import Inventory, is_unlit
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 600_000_000_000
MOST_WORKS = 1_000
"""Works that are not over; of those that are, as many are remembered as there is room for."""
MOST_NAMES = 1_000
MOST_TEXT = 256


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
    gave_way: set[str] = field(default_factory=set)
    silenced: list[ChannelRow] = field(default_factory=list)


class PlannedWorks(Element):
    """Keeps the calendar of works, and has services give way."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT
    realises = ("A2", "E1", "E3", "E5")
    subscribes = (f"{CHANNEL_NEWS}.*",)

    def __init__(
        self,
        place: str,
        inventory: Inventory,
        planned: tuple[AnnounceWorks, ...] = (),
        *,
        otn: bool = True,
        links: Collection[str] = (),
        looked_after: Collection[str] = (),
        moved: Collection[str] = (),
    ) -> None:
        """`planned`: works that are known at the start. `otn`: whether there is an optical network's controller, whose
        services give way. `links`: all quantum links; `looked_after`: those that a closed loop has out of the way of
        works; `moved`: those whose light somebody has elsewhere before works on its fibres, if there is a place."""
        super().__init__(WORKS, place)
        self._inventory = inventory
        self._planned = planned
        self._otn = otn
        self._links = frozenset(links)
        self._looked_after = frozenset(looked_after)
        self._moved = frozenset(moved)
        self._works: dict[str, _Works] = {}
        self._count = 0

    async def start(self, ctx: Context) -> None:
        for asked in self._planned:
            if self._otn:
                ctx.tell(OTN, CloseSpans(asked.works, asked.spans))
            self._announce(ctx, asked)

    # -- announcing ----------------------------------------------------------------------------------

    @handles(AnnounceWorks)
    async def on_announce(self, ctx: Context, msg: AnnounceWorks) -> WorksRow:
        known = self._works.get(msg.works)
        if known is not None and known.state == GIVEN_BACK:
            known = None
        self._check(ctx, msg, known)
        await self._keep(ctx, msg.works, msg.spans)
        if not msg.force:
            stuck = await self._without_way(ctx, msg)
            if stuck:
                await self._keep(ctx, msg.works, () if known is None else known.asked.spans)
                detail = f"{', '.join(stuck)} cannot give way; say force to cut them off"
                raise Problem("cannot-give-way", detail, stuck=stuck)
        if known is not None:
            return self._plan_anew(ctx, known, msg)
        return self._announce(ctx, msg)

    def _check(self, ctx: Context, msg: AnnounceWorks, known: _Works | None) -> None:
        if known is not None and not msg.replace:
            raise Problem("channel-exists", f"there are works {msg.works} already; end them first")
        if not msg.works or not (msg.spans or msg.links) or max(len(msg.spans), len(msg.links)) > MOST_NAMES:
            raise Problem("malformed", f"expected a name, and 1 to {MOST_NAMES} spans or links that are worked on")
        if known is None and sum(works.state != GIVEN_BACK for works in self._works.values()) >= MOST_WORKS:
            raise Problem("overloaded", f"expected at most {MOST_WORKS} works at a time; end some")
        for span in msg.spans:
            if span not in self._inventory.spans:
                raise Problem("no-such-element", f"expected a span of this plant, found {span!r}", span=span)
        for link in msg.links:
            if link not in self._links:
                raise Problem("no-such-element", f"expected a quantum link of this network, found {link!r}", link=link)
        if msg.end_ns <= max(msg.start_ns, ctx.now) or msg.lead_ns < 0:
            raise Problem("malformed", "expected an end after the start and after now, and a lead of at least 0")
        if msg.side not in (OPTICAL_SIDE, QUANTUM_SIDE) or msg.kind not in (SPAN, NODE, LINK):
            raise Problem("malformed", f"expected a side and a kind of works, found {msg.side!r} and {msg.kind!r}")
        if len(msg.text) > MOST_TEXT:
            raise Problem("malformed", f"expected a text of at most {MOST_TEXT} characters, found {len(msg.text)}")
        if known is not None and known.state == DOWN:
            same = (known.asked.spans, known.asked.links, known.asked.start_ns) == (msg.spans, msg.links, msg.start_ns)
            if not same:
                raise Problem("switching", f"works {msg.works} are under way: only their end may be changed")

    def _announce(self, ctx: Context, asked: AnnounceWorks) -> WorksRow:
        self._forget()
        self._count += 1
        works = self._works[asked.works] = _Works(asked, self._count)
        self._schedule(ctx, works, (DRAINING, DOWN, GIVEN_BACK))
        return self._tell(ctx, works)

    def _plan_anew(self, ctx: Context, known: _Works, asked: AnnounceWorks) -> WorksRow:
        """The same works with another plan. Works under way go on; others begin again with their announcement."""
        if known.state != DOWN:
            return self._announce(ctx, asked)
        self._count += 1
        known.asked, known.count = asked, self._count
        self._schedule(ctx, known, (GIVEN_BACK,))
        return self._tell(ctx, known)

    def _schedule(self, ctx: Context, works: _Works, states: Collection[str]) -> None:
        asked = works.asked
        due = {DRAINING: asked.start_ns - asked.lead_ns, DOWN: asked.start_ns, GIVEN_BACK: asked.end_ns}
        for state in states:
            ctx.tell(self.name, Step(asked.works, works.count, state), after=max(0, due[state] - ctx.now))

    def _forget(self) -> None:
        """Make room: the oldest works that are over go."""
        over = [name for name, works in self._works.items() if works.state == GIVEN_BACK]
        for name in over[: max(0, len(self._works) + 1 - MOST_WORKS)]:
            del self._works[name]

    async def _keep(self, ctx: Context, works: str, spans: tuple[str, ...]) -> None:
        """No new path takes these spans; none: they are free again."""
        if self._otn:
            await ctx.ask(OTN, CloseSpans(works, spans), within=WITHIN)

    async def _services(self, ctx: Context) -> Services:
        if not self._otn:
            return Services(())
        found: Services = await ctx.ask(OTN, GetServices(), within=WITHIN)
        return found

    async def _without_way(self, ctx: Context, asked: AnnounceWorks) -> list[str]:
        """Channels on the spans that nobody would move, services that have no other way, and links whose devices are
        worked on and that nobody looks after."""
        services = await self._services(ctx)
        there = [row for row in services.rows if set(row.spans) & set(asked.spans)]
        stuck = {*self._strangers(asked.spans, services), *(set(asked.links) - self._looked_after)}
        for row in there:
            try:
                await ctx.ask(OTN, MoveService(row.service, dry=True), within=WITHIN)
            except Problem as problem:
                if problem.code not in ("no-route", "switching"):
                    raise
                stuck.add(row.service)
        return sorted(stuck)

    def _strangers(self, spans: tuple[str, ...], services: Services) -> list[str]:
        """Channels that carry no service, and that nobody looks after."""
        known = {row.service for row in services.rows} | {row.channel for row in services.rows}
        known |= self._looked_after | self._moved
        return [
            name
            for name, channel in self._inventory.channels.items()
            if set(channel.spans) & set(spans)
            and not is_unlit(channel)
            and name not in known
            and name.removesuffix(":companion") not in known
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
        for row in (await self._services(ctx)).rows:
            if set(row.spans) & set(works.asked.spans):
                try:
                    await ctx.ask(OTN, MoveService(row.service), within=WITHIN)
                except Problem as problem:
                    ctx.emit("works.stuck", works=works.asked.works, service=row.service, why=problem.detail)
                    continue
                works.moved.append(row.service)
        self._tell(ctx, works)

    @handles(GaveWay)
    async def on_gave_way(self, ctx: Context, msg: GaveWay) -> WorksRow:
        works = self._works.get(msg.works)
        if works is None:
            raise Problem("no-such-element", f"expected works, found {msg.works!r}", works=msg.works)
        if works.state != GIVEN_BACK and msg.link not in works.gave_way:
            works.gave_way.add(msg.link)
            works.moved.append(msg.link)
            self._tell(ctx, works)
            await self._go_on(ctx, works)
        return self._row(works)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.note(msg)
        for works in list(self._works.values()):
            await self._go_on(ctx, works)

    async def _go_on(self, ctx: Context, works: _Works) -> None:
        """Something has gone: works that were held for it begin."""
        if works.state == HELD and not self._in_the_way(works):
            await self._take_down(ctx, works)

    async def _take_down(self, ctx: Context, works: _Works) -> None:
        if self._in_the_way(works) and not works.asked.force:
            works.state = HELD
            self._tell(ctx, works)
            return
        works.state = DOWN
        for channel in self._on(works.asked.spans):
            if channel.kind == CLASSICAL and channel.launch_dbm is not None:
                # Whoever opens the fibre shall not look into a laser.
                await ctx.ask(CONTROLLER, ExtinguishChannel(channel.channel), within=WITHIN)
                works.silenced.append(channel)
        self._tell(ctx, works)

    def _in_the_way(self, works: _Works) -> tuple[str, ...]:
        """Channels on the spans and links to be out that have not given way."""
        there = {channel.channel for channel in self._on(works.asked.spans)}
        there.update(self._looked_after.intersection(works.asked.links))
        return tuple(sorted(there - works.gave_way))

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
        stuck = () if works.state == GIVEN_BACK else self._in_the_way(works)
        target = asked.target or " ".join(asked.spans or asked.links)
        return WorksRow(
            asked.works, asked.spans, asked.start_ns, asked.end_ns, works.state, tuple(works.moved), stuck, asked.side,
            asked.kind, target, asked.text, asked.links, asked.force, asked.lead_ns,
        )  # fmt: skip

    def _tell(self, ctx: Context, works: _Works) -> WorksRow:
        row = self._row(works)
        ctx.emit(f"works.{works.state}", works=row.works, spans=list(row.spans), stuck=list(row.stuck))
        ctx.publish(f"{WORKS_NEWS}.{row.works}", row)
        return row
