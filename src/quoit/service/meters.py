"""The Service stratum's telemetry: units by state, as the KMEs tell of them (A2, B6, G1)."""

from __future__ import annotations

from collections import Counter

from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.api import (
    METERS,
    UNIT_NEWS,
    DeliveredBits,
    GetDeliveredBits,
    GetUnitCounts,
    UnitCount,
    UnitCounts,
    UnitsChanged,
)

PASSED_ON = frozenset({"requested", "routed"})
"""States that a unit is only ever in for the time of one request."""


class ServiceMeters(Element):
    """Counts units. A unit known to two KMEs counts at each, since each holds it."""

    stratum, plane = Stratum.SERVICE, Plane.TELEMETRY
    realises = ("A2", "B6", "G1")
    subscribes = (f"{UNIT_NEWS}.*",)

    def __init__(self, place: str) -> None:
        super().__init__(METERS, place)
        self._units: Counter[tuple[str, str]] = Counter()
        self._bits = 0

    @handles(UnitsChanged)
    async def on_units(self, ctx: Context, msg: UnitsChanged) -> None:
        before, after = msg.steps[0], msg.steps[-1]
        number = len(msg.unit_ids)
        if msg.bits:
            self._bits += number * msg.bits
            ctx.count("quoit_key_bits_delivered_total", (msg.kme,), number * msg.bits)
        if before not in PASSED_ON:
            # Keys handed out elsewhere were never counted here as established: no state falls below nothing.
            self._units[msg.kme, before] = max(0, self._units[msg.kme, before] - number)
            ctx.gauge("quoit_units", (msg.kme, before), self._units[msg.kme, before])
        self._units[msg.kme, after] += number
        ctx.gauge("quoit_units", (msg.kme, after), self._units[msg.kme, after])

    @handles(GetDeliveredBits)
    async def on_get_bits(self, ctx: Context, msg: GetDeliveredBits) -> DeliveredBits:
        return DeliveredBits(self._bits)

    @handles(GetUnitCounts)
    async def on_get(self, ctx: Context, msg: GetUnitCounts) -> UnitCounts:
        rows = sorted((kme, state, n) for (kme, state), n in self._units.items() if n)
        return UnitCounts(tuple(UnitCount(*row) for row in rows))
