"""Connectivity's management: what an operator must know of the fibres (A2, E1).

A span without light is a loss of signal; one that loses more than it was commissioned with is degraded
(a bend, a bad splice, a tap: light alone does not tell which). Light that no channel of the inventory explains, or more
of it than was ordered, is told too: it is noise to every quantum channel of the fibre.
"""

from __future__ import annotations

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    GONE,
    OFF,
    SPAN_NEWS,
    SPECTRUM_NEWS,
    UPKEEP,
    ChannelReading,
    ChannelRow,
    SpanLight,
    SpanSpectrum,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.plant import LOSS_STEP_DB
from quoit.planes.management import AlarmBook, Alarms, GetAlarms, Severity
from quoit.planes.telemetry import TELEMETRY_NEWS, ThresholdCrossed, note_crossing
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

UNEXPECTED, TOO_STRONG = "unexpected light", "too much power"
POWER_STEP_DB = 1.0
"""So much above plan is an alarm."""


class ConnectivityUpkeep(Element):
    """Raises and clears the alarms of spans."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT
    realises = ("A2", "E1", "E3")
    subscribes = (
        f"{SPAN_NEWS}.*",
        f"{SPECTRUM_NEWS}.*",
        f"{CHANNEL_NEWS}.*",
        f"{TELEMETRY_NEWS}.connectivity.threshold",
    )

    def __init__(self, place: str, inventory: Inventory) -> None:
        super().__init__(UPKEEP, place)
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
        self._inventory.note(msg)
        if msg.state in (OFF, GONE):
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

    @handles(ThresholdCrossed)
    async def on_crossed(self, ctx: Context, msg: ThresholdCrossed) -> None:
        note_crossing(self._alarms, ctx, msg)

    @handles(GetAlarms)
    async def on_get(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self._alarms.standing
