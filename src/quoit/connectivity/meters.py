"""Connectivity's telemetry: the light on every span against what it was commissioned with, and every channel on it
against what was planned (E1, E3, G1)."""

from __future__ import annotations

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    METERS,
    SPAN_NEWS,
    SPECTRUM_NEWS,
    ChannelReading,
    ChannelReadings,
    ChannelRow,
    GetChannels,
    GetSpans,
    SpanLight,
    SpanRow,
    Spans,
    SpanSpectrum,
)
from quoit.connectivity.inventory import Inventory, Span
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles


class ConnectivityMeters(Element):
    """Collects the power readings of the plant."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.TELEMETRY
    realises = ("A2", "E1", "E3", "G1")
    subscribes = (f"{SPAN_NEWS}.*", f"{SPECTRUM_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(self, place: str, inventory: Inventory) -> None:
        super().__init__(METERS, place)
        self._inventory = inventory
        self._spans = dict(inventory.spans)
        self._spectra: dict[str, SpanSpectrum] = {}
        self._light: dict[str, SpanLight] = {}

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        self._light[msg.span] = msg
        ctx.gauge("quoit_span_lit", (msg.span,), 0.0 if msg.loss_db is None else 1.0)
        if msg.loss_db is not None:
            ctx.gauge("quoit_span_loss_db", (msg.span,), msg.loss_db)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.note(msg)

    @handles(SpanSpectrum)
    async def on_spectrum(self, ctx: Context, msg: SpanSpectrum) -> None:
        self._spectra[msg.span] = msg
        for line in msg.lines:
            labels = (msg.span, line.node, f"{line.centre_mhz / 1e3:g}")
            ctx.gauge("quoit_channel_power_dbm", labels, line.dbm)
            ctx.gauge("quoit_channel_osnr_db", labels, line.osnr_db)

    @handles(GetChannels)
    async def on_get_channels(self, ctx: Context, msg: GetChannels) -> ChannelReadings:
        rows: list[ChannelReading] = []
        for span in self._spans:
            seen = self._spectra.get(span)
            rows += self._inventory.readings(span, seen.lines if seen is not None else ())
        return ChannelReadings(tuple(rows))

    @handles(GetSpans)
    async def on_get(self, ctx: Context, msg: GetSpans) -> Spans:
        return Spans(tuple(self._row(span) for span in self._spans.values()))

    def _row(self, span: Span) -> SpanRow:
        light = self._light.get(span.name)
        if light is None:
            return SpanRow(span.name, span.a, span.b, span.loss_db, None, "unknown")
        state = "dark" if light.loss_db is None else "lit"
        return SpanRow(span.name, span.a, span.b, span.loss_db, light.loss_db, state)
