"""What the plant is made of and how control means it to be used: nodes, spans, channels, cross-connects, spectrum.

Nothing here is the truth about light. Losses are those of commissioning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from quoit.connectivity.api import (
    ADD_DROP,
    CLASSICAL,
    GONE,
    OFF,
    QUANTUM,
    SWITCHING,
    ChannelReading,
    ChannelRow,
    CrossConnect,
    InventoryRows,
    NodeRow,
    PlannedNoise,
    SpanPlan,
    SpectralLine,
    Spectrum,
    TakenSlot,
)
from quoit.engine.physics.path_noise import Fibre, Guest, Segment, path_noise
from quoit.engine.physics.silica import excess_db
from quoit.model.problem import Problem
from quoit.model.spectrum import Slot, free

MATCH_MHZ = 3_125
"""A line belongs to the channel whose centre is this near: half the step of the flexible grid."""

SEEN_MHZ = 50_000
"""Width that light of unknown origin is taken to have: Raman noise hardly depends on it."""


@dataclass(frozen=True)
class Span:
    """A fibre or a path through air between two nodes as the inventory has it. See `SpanPlan`."""

    name: str
    a: str
    b: str
    loss_db: float
    length_km: float = 0.0
    medium: str = "fibre"
    risks: tuple[str, ...] = ()
    windows: tuple[tuple[int, int], ...] = ()
    every_ns: int = 0
    amplified: bool = False

    def due(self, now_ns: int) -> bool:
        """Whether light is to be expected now."""
        if not self.windows:
            return True
        at = now_ns % self.every_ns if self.every_ns else now_ns
        later = at + self.every_ns  # a window may reach into the next turn
        return any(rise <= at < sets or (self.every_ns and rise <= later < sets) for rise, sets in self.windows)

    @property
    def plan(self) -> SpanPlan:
        return SpanPlan(
            self.name,
            self.a,
            self.b,
            self.length_km,
            self.loss_db,
            self.medium,
            self.risks,
            self.windows,
            self.every_ns,
            self.amplified,
        )


@dataclass(frozen=True)
class Switch:
    """A ROADM or an optical switch at a node."""

    node: str
    kind: str
    insertion_db: float
    switching_ns: int


@dataclass(frozen=True)
class Guards:
    """Spectrum to keep between channels, and between a quantum and a classical one."""

    any_mhz: int = 0
    quantum_mhz: int = 100_000

    def between(self, kind: str, other: str) -> int:
        return self.any_mhz if kind == other else max(self.any_mhz, self.quantum_mhz)


def slot_of(channel: ChannelRow) -> Slot:
    """Where in the spectrum a channel is."""
    return Slot(channel.centre_mhz, channel.width_mhz)


def is_unlit(channel: ChannelRow) -> bool:
    """Whether it is a quantum channel that has no path now."""
    return channel.kind == QUANTUM and channel.state == OFF


class Inventory:
    """Nodes, spans and channels of one plant."""

    def __init__(
        self,
        spans: Iterable[Span],
        switches: Iterable[Switch] = (),
        channels: Iterable[ChannelRow] = (),
        guards: Guards | None = None,
    ) -> None:
        self.spans = {span.name: span for span in spans}
        self.switches = {switch.node: switch for switch in switches}
        self.channels = {channel.channel: channel for channel in channels}
        self.guards = guards or Guards()
        self.overridden: dict[tuple[str, str], CrossConnect] = {}
        """Cross-connects by (node, channel) that somebody set by hand, other than the channel's path needs."""

    def beside(self, channels: Iterable[ChannelRow]) -> Inventory:
        """The same plant with these channels alone."""
        return Inventory(self.spans.values(), self.switches.values(), channels, self.guards)

    def channel(self, name: str) -> ChannelRow:
        """Problem `no-such-element` if there is none."""
        found = self.channels.get(name)
        if found is None:
            raise Problem("no-such-element", f"expected a channel of this plant, found {name!r}", channel=name)
        return found

    def note(self, row: ChannelRow) -> None:
        """News of a channel."""
        if row.state == GONE:
            self.channels.pop(row.channel, None)
        else:
            self.channels[row.channel] = row

    def way(self, source: str, spans: tuple[str, ...]) -> tuple[str, ...]:
        """The nodes along some spans. Problems `no-such-element`, `malformed`."""
        if not spans:
            raise Problem("malformed", "expected one span or more, found none")
        if len(set(spans)) < len(spans):
            raise Problem("malformed", f"expected each span once, found {', '.join(spans)}")
        nodes = [source]
        for name in spans:
            span = self.spans.get(name)
            if span is None:
                raise Problem("no-such-element", f"expected a span of this plant, found {name!r}", span=name)
            if nodes[-1] not in (span.a, span.b):
                raise Problem("malformed", f"expected a span from {nodes[-1]!r} next, found {name!r}", span=name)
            nodes.append(span.b if nodes[-1] == span.a else span.a)
        return tuple(nodes)

    def loss_db(self, source: str, spans: tuple[str, ...]) -> float:
        """Loss of commissioning from add to drop."""
        total = sum(self.spans[name].loss_db for name in spans)
        return total + sum(self.insertion_db(node) for node in self.way(source, spans)) if self.switches else total

    def insertion_db(self, node: str) -> float:
        """What a node's switch takes from light that passes, enters or leaves there."""
        switch = self.switches.get(node)
        return 0.0 if switch is None else switch.insertion_db

    def joints(self, channel: ChannelRow) -> tuple[CrossConnect, ...]:
        """The cross-connects that a channel's path needs."""
        ports = [ADD_DROP, *channel.spans, ADD_DROP]
        nodes = self.way(channel.source, channel.spans)
        return tuple(
            CrossConnect(node, channel.channel, port, other)
            for node, port, other in zip(nodes, ports, ports[1:], strict=False)
            if node in self.switches
        )

    def changed_joints(self, old: ChannelRow | None, new: ChannelRow | None) -> tuple[CrossConnect, ...]:
        """What to set for a channel that moves: the new path's, and a block where only the old path went."""
        wanted = self.joints(new) if new is not None else ()
        nodes = {joint.node for joint in wanted}
        gone = self.joints(old) if old is not None else ()
        return wanted + tuple(CrossConnect(j.node, j.channel, "", "") for j in gone if j.node not in nodes)

    def refuse_amplifiers(self, channel: ChannelRow) -> None:
        """Problem `malformed` for quantum light over a span with an amplifier."""
        found = [name for name in channel.spans if self.spans[name].amplified] if channel.kind == QUANTUM else []
        if found:
            raise Problem("malformed", f"expected a path without amplifiers, found one on span {found[0]}")

    # -- spectrum ------------------------------------------------------------------------------------

    def taken(self, spans: Iterable[str]) -> Iterator[tuple[str, ChannelRow]]:
        """(span, channel) of all channels on some spans. Classical ones that are off keep their slot, quantum ones have
        given it up; both directions share one fibre."""
        for span in spans:
            for channel in self.channels.values():
                if span in channel.spans and not is_unlit(channel):
                    yield span, channel

    def spectrum(self, spans: tuple[str, ...], guard_mhz: int) -> Spectrum:
        """Problem `no-such-element` for an unknown span."""
        for name in spans:
            if name not in self.spans:
                raise Problem("no-such-element", f"expected a span of this plant, found {name!r}", span=name)
        rows = list(self.taken(spans))
        slots = [slot_of(channel) for _, channel in rows]
        taken = tuple(
            TakenSlot(span, channel.channel, channel.kind, slot.lower_mhz, slot.upper_mhz)
            for (span, channel), slot in zip(rows, slots, strict=True)
        )
        return Spectrum(taken, free(slots, guard_mhz=guard_mhz))

    def refuse_conflicts(self, new: ChannelRow) -> None:
        """Problem `spectrum-taken` if a channel comes too near another one."""
        slot = slot_of(new)
        for span, channel in self.taken(new.spans):
            guard = self.guards.between(new.kind, channel.kind)
            if channel.channel != new.channel and slot.overlaps(slot_of(channel), guard):
                raise Problem(
                    "spectrum-taken",
                    f"on span {span}, {slot} overlaps {channel.channel} at {slot_of(channel)} "
                    f"(guard {guard / 1e3:g} GHz)",
                    span=span,
                    channel=channel.channel,
                )

    # -- light ---------------------------------------------------------------------------------------

    def planned_dbm(self, channel: ChannelRow, span: str) -> float | None:
        """Power of a channel at the far end of one of its spans; None if it is to be off."""
        return next((out for name, _, _, out in self.planned(channel) if name == span), None)

    def planned(self, channel: ChannelRow) -> Iterator[tuple[str, str, float, float]]:
        """(span, node where it comes out, dBm going in, dBm coming out) along a classical channel's way."""
        if channel.launch_dbm is None:
            return
        power = channel.launch_dbm
        nodes = self.way(channel.source, channel.spans)
        for at, name in enumerate(channel.spans):
            power -= self.insertion_db(nodes[at]) if at else 0.0
            out = power - self._span_db(name, slot_of(channel).wavelength_nm)
            yield name, nodes[at + 1], power, out
            power = out + (self.spans[name].loss_db if self.spans[name].amplified else 0.0)

    def _span_db(self, name: str, wl_nm: float) -> float:
        span = self.spans[name]
        return span.loss_db + (excess_db(wl_nm, span.length_km, span.loss_db) if span.medium == "fibre" else 0.0)

    def noise(
        self,
        source: str,
        spans: tuple[str, ...],
        slot: Slot,
        isolation_db: float,
        besides: str = "",
        seen: Iterable[ChannelReading] = (),
    ) -> PlannedNoise:
        """What a quantum channel would have beside the classical ones as planned, and light that is `seen` beside
        them. Problems as of `way`."""
        nodes = self.way(source, spans)
        guests: dict[str, list[Guest]] = {}
        for channel in self.channels.values():
            for name, exit_node, in_dbm, out_dbm in self.planned(channel) if channel.channel != besides else ():
                if name in spans:
                    at = spans.index(name)
                    parts = at + 1 == len(spans) or spans[at + 1] not in channel.spans
                    guest = Guest(slot_of(channel), in_dbm, out_dbm, exit_node == nodes[at + 1], parts)
                    guests.setdefault(name, []).append(guest)
        for line in seen:
            if line.span in spans and line.dbm is not None:
                at, seen_slot = spans.index(line.span), Slot(line.centre_mhz, SEEN_MHZ)
                in_dbm = line.dbm + self._span_db(line.span, seen_slot.wavelength_nm)
                stranger = Guest(seen_slot, in_dbm, line.dbm, line.node == nodes[at + 1], parts=True)
                guests.setdefault(line.span, []).append(stranger)
        rest_db = 0.0
        segments = []
        for at in reversed(range(len(spans))):
            span = self.spans[spans[at]]
            rest_db += self.insertion_db(nodes[at + 1])
            fibre = Fibre(span.length_km, span.loss_db)
            segments.append(Segment(fibre, guests.get(span.name, ()), 10 ** (-rest_db / 10), at + 1 == len(spans)))
            rest_db += self._span_db(span.name, slot.wavelength_nm)
        found = path_noise(slot, isolation_db, segments)
        return PlannedNoise(found.raman_hz, found.leaked_hz, found.mixed_hz, rest_db + self.insertion_db(nodes[0]))

    def arrival(self, channel: ChannelRow, span: str) -> str:
        """The node at which a channel comes out of one of its spans."""
        return self.way(channel.source, channel.spans)[channel.spans.index(span) + 1]

    def readings(self, span: str, lines: tuple[SpectralLine, ...]) -> Iterator[ChannelReading]:
        """What monitors see on a span against what is planned there."""
        left = list(lines)
        for _, channel in self.taken((span,)):
            planned = self.planned_dbm(channel, span)
            if channel.kind == QUANTUM or planned is None:
                continue
            node = self.arrival(channel, span)
            line = next(
                (li for li in left if li.node == node and abs(li.centre_mhz - channel.centre_mhz) <= MATCH_MHZ), None
            )
            if line is not None:
                left.remove(line)
                yield ChannelReading(channel.channel, span, node, line.centre_mhz, line.dbm, planned, line.osnr_db)
            elif channel.state != SWITCHING:
                yield ChannelReading(channel.channel, span, node, channel.centre_mhz, None, planned, None)
        for line in left:
            yield ChannelReading(None, span, line.node, line.centre_mhz, line.dbm, None, line.osnr_db)

    # -- as rows -------------------------------------------------------------------------------------

    def node_rows(self) -> tuple[NodeRow, ...]:
        ports: dict[str, list[str]] = {}
        for span in self.spans.values():
            ports.setdefault(span.a, []).append(span.name)
            ports.setdefault(span.b, []).append(span.name)
        return tuple(
            NodeRow(
                node,
                switch.kind if (switch := self.switches.get(node)) else "patch-panel",
                (ADD_DROP, *there),
                switch.insertion_db if switch else 0.0,
                switch.switching_ns if switch else 0,
            )
            for node, there in ports.items()
        )

    def cross_connects(self) -> tuple[CrossConnect, ...]:
        """All that are meant to be set."""
        lit = (channel for channel in self.channels.values() if not is_unlit(channel))
        meant = {(j.node, j.channel): j for channel in lit for j in self.joints(channel)}
        return tuple(joint for joint in (meant | self.overridden).values() if joint.port)

    def rows(self) -> InventoryRows:
        return InventoryRows(
            self.node_rows(),
            tuple(span.plan for span in self.spans.values()),
            tuple(self.channels.values()),
            self.cross_connects(),
        )


def classical(
    name: str, source: str, spans: tuple[str, ...], slot: Slot, launch_dbm: float | None, state: str
) -> ChannelRow:
    """A classical channel's row."""
    return ChannelRow(name, CLASSICAL, source, spans, slot.centre_mhz, slot.width_mhz, launch_dbm, state)
