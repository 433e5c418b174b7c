"""What the network costs the world: energy for each key bit and each entangled pair, and fibre shared (G4).

Energy is power times the time for which a device was on, in simulated time. Devices of a link are on while its meter
is, which control switches; servers and cryostats are on always. The powers are those of `quoit.model.power`, so the
figures are as good as that table: each row of it says whether somebody measured it or we assume it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import CLASSICAL, LIT, ChannelRow, GetInventory, InventoryRows
from quoit.fabric.api import PAIR_NEWS, PairDelivered
from quoit.model.problem import Problem
from quoit.orchestration.telemetry_api import FOOTPRINT, Footprint, GetFootprint, PowerShare
from quoit.planes.telemetry import TELEMETRY_NEWS, MeterSwitched
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import METERS as SERVICE_METERS
from quoit.service.api import DeliveredBits, GetDeliveredBits

WITHIN = 5_000_000_000
PERIOD_NS = 10_000_000_000
KEYS, PAIRS = "keys", "pairs"


@dataclass(frozen=True)
class Load:
    """Something that takes power: its devices, and whether it is there for entangled pairs or for keys."""

    name: str
    devices: tuple[tuple[str, int], ...]
    pairs: bool = False


@dataclass(frozen=True)
class FootprintPlan:
    """`links`, `pair_links`: on while control uses them. `always`: on from the start. `watts` of each device;
    `assumed`: devices whose power nobody has published. `lengths_km` of spans of fibre; `pair_spans`: those that carry
    light of entangled pairs."""

    links: tuple[Load, ...]
    pair_links: tuple[Load, ...]
    always: tuple[Load, ...]
    watts: tuple[tuple[str, float], ...]
    assumed: frozenset[str]
    lengths_km: tuple[tuple[str, float], ...]
    pair_spans: frozenset[str] = frozenset()


@message("orchestration.Reckon")
class Reckon(Message):
    """To itself: bring the figures up to date."""


class FootprintElement(Element):
    """Integrates power over the time that devices are on, and divides by what was delivered."""

    stratum, plane = Stratum.SERVICE, Plane.TELEMETRY
    realises = ("G1", "G4")
    subscribes = (
        f"{TELEMETRY_NEWS}.fabric.switched",
        f"{PAIR_NEWS}.*",
        f"{connectivity.CHANNEL_NEWS}.*",
    )

    def __init__(self, place: str, plan: FootprintPlan) -> None:
        super().__init__(FOOTPRINT, place)
        self._plan = plan
        self._watts = dict(plan.watts)
        self._switched = {load.name: (load, KEYS) for load in plan.links}
        self._switched |= {load.name: (load, PAIRS) for load in plan.pair_links}
        self._lengths_km = dict(plan.lengths_km)
        self._on: dict[str, tuple[Load, str]] = {
            f"always/{i}": (load, PAIRS if load.pairs else KEYS) for i, load in enumerate(plan.always)
        }
        self._joules = {KEYS: 0.0, PAIRS: 0.0}
        self._reckoned_ns = 0
        self._pairs = 0
        self._channels: dict[str, ChannelRow] = {}

    async def start(self, ctx: Context) -> None:
        self._reckoned_ns = ctx.now
        ctx.tell(self.name, Reckon())

    @handles(Reckon)
    async def on_reckon(self, ctx: Context, msg: Reckon) -> None:
        ctx.tell(self.name, Reckon(), after=PERIOD_NS)
        try:
            told: InventoryRows = await ctx.ask(connectivity.CONTROLLER, GetInventory(), within=WITHIN)
        except Problem:
            pass  # what is known of channels stands; news of them come in any case
        else:
            self._channels = {row.channel: row for row in told.channels}
        await self._show(ctx)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._channels[msg.channel] = msg

    @handles(MeterSwitched)
    async def on_switched(self, ctx: Context, msg: MeterSwitched) -> None:
        found = self._switched.get(msg.resource)
        if found is None:
            return
        self._integrate(ctx)
        if msg.on:
            self._on[msg.resource] = found
        else:
            self._on.pop(msg.resource, None)

    @handles(PairDelivered)
    async def on_pair(self, ctx: Context, msg: PairDelivered) -> None:
        self._pairs += 1

    # -- figures -------------------------------------------------------------------------------------

    def _power_of(self, load: Load) -> float:
        return sum(number * self._watts[device] for device, number in load.devices)

    def _power(self, use: str) -> float:
        return sum(self._power_of(load) for load, its in self._on.values() if its == use)

    def _integrate(self, ctx: Context) -> None:
        seconds = (ctx.now - self._reckoned_ns) / 1e9
        self._reckoned_ns = ctx.now
        for use in self._joules:
            joules = self._power(use) * seconds
            self._joules[use] += joules
            ctx.count("quoit_energy_joules_total", (use,), joules)

    def _fibre_km(self) -> tuple[float, float]:
        """Kilometres of fibre that carry quantum channels, and of those, that carry lit classical ones as well."""
        rows = self._channels.values()
        quantum = set(self._plan.pair_spans).union(*(row.spans for row in rows if row.kind != CLASSICAL))
        lit = set[str]().union(*(row.spans for row in rows if row.kind == CLASSICAL and row.state == LIT))
        of = self._lengths_km
        return sum(of.get(s, 0.0) for s in sorted(quantum)), sum(of.get(s, 0.0) for s in sorted(quantum & lit))

    @handles(GetFootprint)
    async def on_get(self, ctx: Context, msg: GetFootprint) -> Footprint:
        return await self._show(ctx)

    async def _show(self, ctx: Context) -> Footprint:
        delivered: DeliveredBits = await ctx.ask(SERVICE_METERS, GetDeliveredBits(), within=WITHIN)
        self._integrate(ctx)
        per_bit = self._joules[KEYS] / delivered.bits if delivered.bits else None
        per_pair = self._joules[PAIRS] / self._pairs if self._pairs else None
        quantum_km, shared_km = self._fibre_km()
        ratio = shared_km / quantum_km if quantum_km else None
        for use in self._joules:
            ctx.gauge("quoit_power_watts", (use,), self._power(use))
        ctx.gauge("quoit_fibre_quantum_km", (), quantum_km)
        for name, value in (
            ("quoit_energy_per_bit_joules", per_bit),
            ("quoit_energy_per_pair_joules", per_pair),
            ("quoit_fibre_shared_ratio", ratio),
        ):
            if value is not None:
                ctx.gauge(name, (), value)
        return Footprint(
            ctx.now,
            self._power(KEYS),
            self._joules[KEYS],
            delivered.bits,
            per_bit,
            self._power(PAIRS),
            self._joules[PAIRS],
            self._pairs,
            per_pair,
            quantum_km,
            shared_km,
            ratio,
            self._assumed(),
            self._devices(),
        )

    def _devices(self) -> tuple[PowerShare, ...]:
        numbers: Counter[str] = Counter()
        for load, _ in self._on.values():
            numbers.update(dict(load.devices))
        return tuple(
            PowerShare(device, number, self._watts[device], device in self._plan.assumed)
            for device, number in sorted(numbers.items())
        )

    def _assumed(self) -> float | None:
        """Share of the power of now that stands on assumptions."""
        shares = self._devices()
        whole = sum(row.number * row.watts for row in shares)
        return sum(row.number * row.watts for row in shares if row.assumed) / whole if whole else None
