"""Connectivity's management: what an operator must know of the fibres (A2, E1).

A span without light is a loss of signal; one that loses more than it was commissioned with is degraded
(a bend, a bad splice, a tap: light alone does not tell which).
"""

from __future__ import annotations

from quoit.connectivity.api import SPAN_NEWS, UPKEEP, SpanLight
from quoit.connectivity.plant import LOSS_STEP_DB, Span
from quoit.planes.management import AlarmBook, Alarms, GetAlarms, Severity
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class ConnectivityUpkeep(Element):
    """Raises and clears the alarms of spans."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.MANAGEMENT
    realises = ("A2", "E1")
    subscribes = (f"{SPAN_NEWS}.*",)

    def __init__(self, place: str, spans: tuple[Span, ...]) -> None:
        super().__init__(UPKEEP, place)
        self._commissioned_db = {span.name: span.loss_db for span in spans}
        self._alarms = AlarmBook(self.stratum)

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        if msg.loss_db is None:
            self._alarms.raise_(ctx, msg.span, "loss of signal", Severity.CRITICAL, "no light arrives")
            return
        self._alarms.clear(ctx, msg.span, "loss of signal")
        excess_db = msg.loss_db - self._commissioned_db[msg.span]
        if excess_db >= LOSS_STEP_DB:
            text = f"{excess_db:.2f} dB above commissioning"
            self._alarms.raise_(ctx, msg.span, "degraded", Severity.MINOR, text)
        else:
            self._alarms.clear(ctx, msg.span, "degraded")

    @handles(GetAlarms)
    async def on_get(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self._alarms.standing
