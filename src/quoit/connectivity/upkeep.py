"""Connectivity's management: what an operator must know of the fibres (A2, E1).

A span without light is a loss of signal; one that loses more than it was commissioned with is degraded
(a bend, a bad splice, a tap: light alone does not tell which). Light that no channel of the inventory explains, or more
of it than was ordered, is told too: it is noise to every quantum channel of the fibre.
"""

from __future__ import annotations

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    OFF,
    SPAN_NEWS,
    SPECTRUM_NEWS,
    UPKEEP,
    WORKS_NEWS,
    CancelWork,
    ChannelReading,
    ChannelRow,
    GetWorks,
    PlanWork,
    SpanLight,
    SpanSpectrum,
    Works,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.plant import LOSS_STEP_DB
from quoit.model.problem import Problem
from quoit.planes.management import AlarmBook, Alarms, GetAlarms, Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

UNEXPECTED, TOO_STRONG = "unexpected light", "too much power"
POWER_STEP_DB = 1.0
"""So much above plan is an alarm."""
MOST_WORKS = 1_000


class ConnectivityUpkeep(Element):
    """Raises and clears the alarms of spans, and keeps the calendar of works on them."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT
    realises = ("A2", "E1", "E3")
    subscribes = (f"{SPAN_NEWS}.*", f"{SPECTRUM_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(self, place: str, inventory: Inventory, works: tuple[PlanWork, ...] = ()) -> None:
        super().__init__(UPKEEP, place)
        self._works = {work.work: work for work in works}
        self._inventory = inventory
        self._alarms = AlarmBook(self.stratum)

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        span = self._inventory.spans[msg.span]
        if msg.loss_db is None and not span.due(ctx.now):
            return  # no pass now: nothing is to be seen
        if msg.loss_db is None:
            self._alarms.raise_(ctx, msg.span, "loss of signal", Severity.CRITICAL, "no light arrives")
            return
        self._alarms.clear(ctx, msg.span, "loss of signal")
        excess_db = msg.loss_db - span.loss_db
        if excess_db >= LOSS_STEP_DB and not span.windows:  # a satellite is farther away most of the time
            text = f"{excess_db:.2f} dB above commissioning"
            self._alarms.raise_(ctx, msg.span, "degraded", Severity.MINOR, text)
        else:
            self._alarms.clear(ctx, msg.span, "degraded")

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.channels[msg.channel] = msg
        if msg.state == OFF:
            self._alarms.clear(ctx, msg.channel, TOO_STRONG)

    @handles(SpanSpectrum)
    async def on_spectrum(self, ctx: Context, msg: SpanSpectrum) -> None:
        rows = list(self._inventory.readings(msg.span, msg.lines))
        strangers = [row for row in rows if row.channel is None]
        self._alarms.clear(ctx, msg.span, UNEXPECTED)
        if strangers:
            told = ", ".join(f"{row.centre_mhz / 1e6:.4f} THz at {row.dbm:.1f} dBm" for row in strangers)
            self._alarms.raise_(ctx, msg.span, UNEXPECTED, Severity.MAJOR, f"no channel explains {told}")
        for row in rows:
            self._compare(ctx, row)

    def _compare(self, ctx: Context, row: ChannelReading) -> None:
        if row.channel is None or row.dbm is None or row.planned_dbm is None:
            return
        channel = self._inventory.channels[row.channel]
        if row.span != channel.spans[0]:
            return  # one alarm a channel, where it is launched
        excess_db = row.dbm - row.planned_dbm
        if excess_db >= POWER_STEP_DB:
            text = f"{excess_db:.1f} dB above plan on {row.span}"
            self._alarms.raise_(ctx, row.channel, TOO_STRONG, Severity.MAJOR, text)
        else:
            self._alarms.clear(ctx, row.channel, TOO_STRONG)

    # -- works ---------------------------------------------------------------------------------------

    @handles(PlanWork)
    async def on_plan(self, ctx: Context, msg: PlanWork) -> Works:
        for name in msg.spans:
            if name not in self._inventory.spans:
                raise Problem("no-such-element", f"expected a span of this plant, found {name!r}", span=name)
        if not msg.work or "." in msg.work or not msg.spans or not 0 <= msg.from_ns < msg.until_ns:
            detail = "expected a name without dots, one span or more, and an end after the begin"
            raise Problem("malformed", f"{detail}; found {msg.work!r}, {len(msg.spans)} span(s)")
        left = self._works_left(ctx.now)
        if len(left.works) >= MOST_WORKS and msg.work not in self._works:
            raise Problem("malformed", f"expected at most {MOST_WORKS} works at a time; cancel some")
        self._works[msg.work] = msg
        ctx.emit("works.planned", work=msg.work, spans=list(msg.spans), from_ns=msg.from_ns, until_ns=msg.until_ns)
        return self._tell_works(ctx, msg.work)

    @handles(CancelWork)
    async def on_cancel(self, ctx: Context, msg: CancelWork) -> Works:
        if self._works.pop(msg.work, None) is None:
            raise Problem("no-such-element", f"expected a work that is planned, found {msg.work!r}", work=msg.work)
        ctx.emit("works.cancelled", work=msg.work)
        return self._tell_works(ctx, msg.work)

    @handles(GetWorks)
    async def on_works(self, ctx: Context, msg: GetWorks) -> Works:
        return self._works_left(ctx.now)

    def _tell_works(self, ctx: Context, work: str) -> Works:
        left = self._works_left(ctx.now)
        ctx.publish(f"{WORKS_NEWS}.{work}", left)
        return left

    def _works_left(self, now: int) -> Works:
        self._works = {name: work for name, work in self._works.items() if work.until_ns > now}
        return Works(tuple(sorted(self._works.values(), key=lambda w: (w.from_ns, w.work))))

    @handles(GetAlarms)
    async def on_get(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self._alarms.standing
