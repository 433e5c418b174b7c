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
from quoit.planes.telemetry import GetMeters, MeterBoard, Meters, StartMeter, StopMeter, TelemetryPlan
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

METRICS = ("quoit_span_lit", "quoit_span_loss_db")


class ConnectivityMeters(Element):
    """Collects the power readings of the plant. Windows, thresholds and series are of spans in use."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.TELEMETRY
    realises = ("A2", "E1", "E3", "G1")
    subscribes = (f"{SPAN_NEWS}.*", f"{SPECTRUM_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(self, place: str, inventory: Inventory, telemetry: TelemetryPlan | None = None) -> None:
        super().__init__(METERS, place)
        self._board = MeterBoard(self.stratum, METRICS, telemetry or TelemetryPlan())
        self._inventory = inventory
        self._spans = dict(inventory.spans)
        self._spectra: dict[str, SpanSpectrum] = {}
        self._light: dict[str, SpanLight] = {}

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        self._light[msg.span] = msg
        self._read(ctx, msg)

    def _read(self, ctx: Context, light: SpanLight) -> None:
        self._board.read(ctx, "quoit_span_lit", light.span, 0.0 if light.loss_db is None else 1.0)
        if light.loss_db is not None:
            self._board.read(ctx, "quoit_span_loss_db", light.span, light.loss_db)

    @handles(StartMeter)
    async def on_start_meter(self, ctx: Context, msg: StartMeter) -> None:
        light = self._light.get(msg.resource)
        if self._board.start(ctx, msg.resource) and light is not None:
            self._read(ctx, light)  # power meters speak when something changes

    @handles(StopMeter)
    async def on_stop_meter(self, ctx: Context, msg: StopMeter) -> None:
        self._board.stop(ctx, msg.resource)

    @handles(GetMeters)
    async def on_get_meters(self, ctx: Context, msg: GetMeters) -> Meters:
        return self._board.meters()

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
