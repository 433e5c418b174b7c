"""The optical plant of a network file: true spans, links and switches, and the inventory that control has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from quoit.connectivity.api import ADD_DROP, CLASSICAL, LIT, OFF, QUANTUM, ChannelRow
from quoit.connectivity.inventory import Guards, Inventory, Span, Switch, is_unlit
from quoit.engine.air import AirPath, AirPlan, Orbiting, Pass, Sky
from quoit.engine.engine import DriftPlan
from quoit.engine.physics.free_space import RADIANCE
from quoit.engine.physics.satellite import pass_duration_s
from quoit.engine.world import ISOLATION_DB, TrueLink, TrueSpan, TrueSwitch
from quoit.fabric.links.profile import OVER_PAIRS
from quoit.model.spectrum import Slot, centre_of
from quoit.scenario import schema

Spans = Callable[[schema.Link | schema.PairLink], tuple[str, ...]]
DRIFT_STEPS = 20
"""Steps of a drift in its correlation time."""
S = 10**9


def air_plan(network: schema.NetworkFile, span: schema.Span) -> AirPlan:
    """What the engine must know of a path through air."""
    air = span.air
    assert air is not None
    sky, orbit = air.sky, air.satellite
    # Day and night are those of the station that receives, or of the one that sends up to a satellite.
    ground = next((network.nodes[n] for n in reversed(span.between) if network.nodes[n].lat is not None), None)
    return AirPlan(
        air.wavelength_nm,
        air.waist_m,
        air.receiver_m,
        air.divergence_rad,
        air.jitter_rad,
        air.optics_db,
        Sky(
            RADIANCE[sky.night],
            RADIANCE[sky.day or sky.night],
            sky.view_rad,
            (ground.lat if ground else None) or 0.0,
            (ground.lon if ground else None) or 0.0,
            network.epoch_unix_s,
        ),
        _orbiting(orbit) if orbit is not None else None,
        span.length_km * 1e3 if orbit is None else 0.0,
        air.extinction_db_per_km,
        air.haze.rms_db if air.haze else 0.0,
        air.haze.time_ns / S if air.haze else 1.0,
        air.clouds.share if air.clouds else 0.0,
        air.clouds.time_ns / S if air.clouds else 1.0,
        air.pointing.rms_rad if air.pointing else 0.0,
        air.pointing.time_ns / S if air.pointing else 1.0,
    )


def _orbiting(given: schema.Satellite) -> Orbiting:
    passes = tuple(Pass(one.at_ns, one.elevation_deg) for one in given.passes)
    return Orbiting(given.altitude_km * 1e3, given.lowest_deg, given.zenith, passes, given.every_ns or 0)


class LightSide:
    """Everything about light that the assembly needs."""

    def __init__(self, network: schema.NetworkFile, spans_of: Spans) -> None:
        self._n = network
        self._spans_of = spans_of

    # -- the truth -----------------------------------------------------------------------------------

    def true_spans(self) -> dict[str, TrueSpan]:
        return {s.id: self._true_span(s) for s in self._n.spans}

    def _true_span(self, span: schema.Span) -> TrueSpan:
        a, b = span.between
        air = AirPath(air_plan(self._n, span)) if span.air is not None else None
        return TrueSpan(span.id, span.loss_db, a=a, b=b, length_km=span.length_km, air=air, amplified=span.amplified)

    def true_link(self, link: schema.Link) -> TrueLink:
        if link.protocol in OVER_PAIRS:
            return TrueLink(link.id, self._spans_of(link))
        isolation = link.spectrum.isolation_db if link.spectrum else ISOLATION_DB
        source, slot = link.between[0], self._slot(link)
        return TrueLink(link.id, self._spans_of(link), source=source, slot=slot, isolation_db=isolation)

    def true_switches(self) -> dict[str, TrueSwitch]:
        """Every configured path is joined from the start, unless another link has its device."""
        found = {s.node: TrueSwitch(s.insertion_db, s.switching_ns, s.kind == "roadm") for s in self._n.plant.switches}
        inventory = self.inventory()
        lent = self._lent()
        for channel in inventory.channels.values():
            for joint in () if is_unlit(channel) else inventory.joints(channel):
                if (joint.node, joint.channel) in lent:
                    continue  # another link has the device that is behind this port
                switch = found[joint.node]
                switch.joints[joint.channel] = switch.joint(joint.port, joint.other, channel.centre_mhz)
        for link in self._n.pair_links if found else ():
            spans = self._spans_of(link)
            nodes = inventory.way(link.between[0], spans)
            ports = [ADD_DROP, *spans, ADD_DROP]
            for node, port, other in zip(nodes, ports, ports[1:], strict=False):
                if node in found:
                    found[node].joints[link.id] = found[node].joint(port, other, 0)
        return found

    def _lent(self) -> set[tuple[str, str]]:
        """(node, link) where a shared device is another link's at the beginning."""
        loop = self._n.loops.buffer
        return {(one.node, link) for one in (loop.shared if loop else ()) for link in one.links[1:]}

    def drifts(self) -> Iterator[DriftPlan]:
        for link in self._n.links:
            if link.drift is not None:
                drift = link.drift
                yield DriftPlan(link.id, drift.rms, drift.time_ns / S, max(S, drift.time_ns // DRIFT_STEPS))

    # -- the inventory -------------------------------------------------------------------------------

    def inventory(self) -> Inventory:
        """A fresh one: each element has its own."""
        plant = self._n.plant
        switches = [Switch(s.node, s.kind, s.insertion_db, s.switching_ns) for s in plant.switches]
        guards = Guards(plant.guard_mhz, plant.quantum_guard_mhz)
        return Inventory(self._spans, switches, [*self._quantum(), *self._classical()], guards)

    @cached_property
    def _spans(self) -> tuple[Span, ...]:
        return tuple(self._span(span) for span in self._n.spans)

    def _span(self, span: schema.Span) -> Span:
        a, b = span.between
        risks = (span.duct,) if span.duct else ()
        if span.air is None:
            return Span(span.id, a, b, span.loss_db, span.length_km, risks=risks, amplified=span.amplified)
        plan = air_plan(self._n, span)
        windows, every_ns = _timetable(plan.orbit) if plan.orbit else ((), 0)
        return Span(span.id, a, b, plan.best_loss_db, plan.longest_km, "air", risks, windows, every_ns)

    def _quantum(self) -> Iterator[ChannelRow]:
        for link in self._n.links:
            if link.protocol in OVER_PAIRS:
                continue
            slot, spans = self._slot(link), self._spans_of(link)
            state = LIT if link.on_demand is None else OFF
            row = (link.id, QUANTUM, link.between[0], spans, slot.centre_mhz, slot.width_mhz, None, state)
            yield ChannelRow(*row)

    def _classical(self) -> Iterator[ChannelRow]:
        for c in self._n.plant.channels:
            power, state = (c.launch_dbm, LIT) if c.lit else (None, OFF)
            yield ChannelRow(c.name, CLASSICAL, c.source, tuple(c.spans), c.centre_mhz, c.width_mhz, power, state)

    def _slot(self, link: schema.Link) -> Slot:
        """As the file says; else that of the telescope on its way; else the default."""
        if link.spectrum is not None:
            return Slot(link.spectrum.centre_mhz, link.spectrum.filter_mhz)
        for name in self._spans_of(link):
            air = self._airs.get(name)
            if air is not None:
                return Slot(centre_of(air.wavelength_nm), air.filter_mhz)
        return Slot(schema.QUANTUM_MHZ, schema.QUANTUM_WIDTH_MHZ)

    def through_air(self, spans: tuple[str, ...]) -> bool:
        """Whether one of these spans is no fibre."""
        return any(name in self._airs for name in spans)

    @cached_property
    def _airs(self) -> dict[str, schema.Air]:
        return {span.id: span.air for span in self._n.spans if span.air is not None}


def _timetable(orbit: Orbiting) -> tuple[tuple[tuple[int, int], ...], int]:
    windows = []
    for one in orbit.passes:
        half = round(pass_duration_s(orbit.altitude_m, one.elevation_deg, orbit.min_elevation_deg) / 2 * S)
        windows.append((one.at_ns - half, one.at_ns + half))
    return tuple(sorted(windows)), orbit.every_ns
