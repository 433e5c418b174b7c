"""Connectivity's telemetry: the light on every span against what it was commissioned with (E1, G1)."""

from __future__ import annotations

from quoit.connectivity.api import METERS, SPAN_NEWS, GetSpans, SpanLight, SpanRow, Spans
from quoit.connectivity.plant import Span
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class ConnectivityMeters(Element):
    """Collects the power readings of the plant."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.TELEMETRY
    realises = ("A2", "E1", "G1")
    subscribes = (f"{SPAN_NEWS}.*",)

    def __init__(self, place: str, spans: tuple[Span, ...]) -> None:
        super().__init__(METERS, place)
        self._spans = {span.name: span for span in spans}
        self._light: dict[str, SpanLight] = {}

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        self._light[msg.span] = msg
        ctx.gauge("quoit_span_lit", (msg.span,), 0.0 if msg.loss_db is None else 1.0)
        if msg.loss_db is not None:
            ctx.gauge("quoit_span_loss_db", (msg.span,), msg.loss_db)

    @handles(GetSpans)
    async def on_get(self, ctx: Context, msg: GetSpans) -> Spans:
        return Spans(tuple(self._row(span) for span in self._spans.values()))

    def _row(self, span: Span) -> SpanRow:
        light = self._light.get(span.name)
        if light is None:
            return SpanRow(span.name, span.a, span.b, span.loss_db, None, "unknown")
        state = "dark" if light.loss_db is None else "lit"
        return SpanRow(span.name, span.a, span.b, span.loss_db, light.loss_db, state)
