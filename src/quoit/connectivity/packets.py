"""Quantum payloads on their way: as packets from switch to switch, or over circuits, by link (E2).

One element stands for all packet switches of the plant; where they are is in the times of light between them.

Named approximation: payloads are counted by slots that survive, each with the path's transmittance, and not followed as
states; what they are made of and used for is the sender's and the receiver's. The light of QKD links is a circuit's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp

from quoit.connectivity.api import (
    CHANNEL_NEWS,
    CIRCUIT,
    LIT,
    PACKET,
    PACKETS,
    QUANTUM,
    SPAN_NEWS,
    ChannelRow,
    PacketFate,
    SendPacket,
    SetForwardingMode,
    SpanLight,
)
from quoit.connectivity.inventory import Inventory
from quoit.connectivity.packet_ports import Port, Switching
from quoit.engine.physics.fibre import delay_s
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles

MOST_SLOTS = 1_000_000
MOST_IN_FLIGHT = 10_000
MOST_NS = 10**12


@dataclass(frozen=True)
class _Hop:
    """A switch and the span after it."""

    node: str
    span: str
    latency_ns: int
    loss_db: float


class PacketSwitches(Element):
    """Forwards payloads, and says what became of each."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.RESOURCE
    realises = ("E2",)
    subscribes = (f"{SPAN_NEWS}.*", f"{CHANNEL_NEWS}.*")

    def __init__(self, place: str, inventory: Inventory, switching: Switching, modes: Mapping[str, str]) -> None:
        """`modes`: of links that do not forward by circuits."""
        super().__init__(PACKETS, place)
        self._inventory = inventory
        self._switching = switching
        self._modes = dict(modes)
        self._ports: dict[tuple[str, str], Port] = {}
        self._dark: set[str] = set()
        self._in_flight = 0

    @handles(SpanLight)
    async def on_light(self, ctx: Context, msg: SpanLight) -> None:
        (self._dark.add if msg.loss_db is None else self._dark.discard)(msg.span)

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        self._inventory.note(msg)

    @handles(SetForwardingMode)
    async def on_mode(self, ctx: Context, msg: SetForwardingMode) -> SetForwardingMode:
        self._channel(msg.link)
        if msg.mode not in (CIRCUIT, PACKET):
            raise Problem("malformed", f"expected mode circuit or packet, found {msg.mode!r}")
        self._modes[msg.link] = msg.mode
        ctx.emit("packets.mode", link=msg.link, mode=msg.mode)
        return msg

    @handles(SendPacket)
    async def on_send(self, ctx: Context, msg: SendPacket) -> PacketFate:
        channel = self._channel(msg.link)
        _check(msg)
        if self._in_flight >= MOST_IN_FLIGHT:
            raise Problem("overloaded", f"expected at most {MOST_IN_FLIGHT} payloads on their way")
        mode = self._modes.get(msg.link, CIRCUIT)
        self._in_flight += 1
        try:
            flight = _Flight(msg, mode, ctx.now)
            hops = tuple(self._hops(channel))
            if mode == PACKET:
                await self._switched(ctx, flight, hops)
            else:
                await self._over_circuit(ctx, flight, hops, channel)
        finally:
            self._in_flight -= 1
        fate = flight.fate(self._survivors(ctx, flight))
        ctx.count("quoit_packets_total", (msg.link, mode, fate.lost or "delivered"))
        return fate

    def _channel(self, link: str) -> ChannelRow:
        channel = self._inventory.channels.get(link)
        if channel is None or channel.kind != QUANTUM:
            raise Problem("no-such-element", f"expected a link of this plant, found {link!r}", link=link)
        return channel

    def _hops(self, channel: ChannelRow) -> Iterator[_Hop]:
        nodes = self._inventory.way(channel.source, channel.spans)
        for node, there, name in zip(nodes, nodes[1:], channel.spans, strict=False):
            span = self._inventory.spans[name]
            loss = span.loss_db + self._inventory.insertion_db(node)
            if there == nodes[-1]:
                loss += self._inventory.insertion_db(there)
            yield _Hop(node, name, round(delay_s(span.length_km) * 1e9), loss)

    async def _over_circuit(self, ctx: Context, flight: _Flight, hops: tuple[_Hop, ...], channel: ChannelRow) -> None:
        """A circuit is there or dark: no header is read, and nobody else is met."""
        for hop in hops:
            await ctx.sleep_until(flight.payload_ns)
            if hop.span in self._dark or channel.state != LIT:
                flight.lost = "dark"
                return
            flight.travel(hop)
        await ctx.sleep_until(flight.payload_ns)

    async def _switched(self, ctx: Context, flight: _Flight, hops: tuple[_Hop, ...]) -> None:
        """Each switch reads the header, reserves its port, and sends the header on."""
        s, channel = self._switching, None
        for hop in hops:
            flight.header_ns += s.processing_ns
            await ctx.sleep_until(flight.header_ns)
            if hop.span in self._dark:
                flight.lost = "dark"
            elif flight.header_ns + s.switching_ns > flight.payload_ns:
                flight.lost = "offset"
            if flight.lost:
                return
            port = self._ports.get((hop.node, hop.span))
            if port is None:
                port = self._ports[hop.node, hop.span] = Port(s)
            granted = port.take(flight.payload_ns, flight.hold_ns, channel)
            if granted is None:
                flight.lost = "contention"
                return
            channel = granted.channel
            flight.put_off(granted.wait_ns, granted.turns * s.loop_db, s.t2_ns if s.policy == "buffer" else 0)
            flight.travel(hop)
            if not flight.judge():
                return
        await ctx.sleep_until(flight.payload_ns)

    @staticmethod
    def _survivors(ctx: Context, flight: _Flight) -> int:
        if flight.lost:
            return 0
        return int(ctx.rng("survivors").binomial(flight.asked.slots, 10 ** (-flight.loss_db / 10)))


class _Flight:
    """A payload on its way: when its header has been received and its first slot comes at the next switch."""

    def __init__(self, asked: SendPacket, mode: str, now_ns: int) -> None:
        self.asked = asked
        self.mode = mode
        self.sent_ns = now_ns
        self.header_ns = now_ns + asked.header_ns
        ahead_ns = asked.header_ns + asked.offset_ns + asked.guard_ns if mode == PACKET else 0
        self.payload_ns = now_ns + ahead_ns
        self.loss_db = 0.0
        self.wait_ns = 0
        self.coherence = 1.0
        self.lost = ""

    @property
    def hold_ns(self) -> int:
        """How long a port is taken: payload, both guards, trailer."""
        asked = self.asked
        return asked.slots * asked.slot_ns + 2 * asked.guard_ns + asked.trailer_ns

    def put_off(self, wait_ns: int, loss_db: float, t2_ns: int) -> None:
        """The payload waits, and the header is sent on with the new time."""
        self.payload_ns += wait_ns
        self.header_ns += wait_ns
        self.wait_ns += wait_ns
        self.loss_db += loss_db
        if t2_ns:
            self.coherence *= exp(-wait_ns / t2_ns)

    def travel(self, hop: _Hop) -> None:
        """Through the switch and along the span."""
        self.payload_ns += hop.latency_ns
        self.header_ns += hop.latency_ns
        self.loss_db += hop.loss_db

    def judge(self) -> bool:
        """Whether it is still of use."""
        if self.loss_db > self.asked.budget_db:
            self.lost = "budget"
        elif self.payload_ns - self.sent_ns > self.asked.ttl_ns:
            self.lost = "ttl"
        return not self.lost

    def fate(self, survivors: int) -> PacketFate:
        return PacketFate(
            self.asked.link,
            self.mode,
            self.lost,
            self.payload_ns,
            self.loss_db,
            self.wait_ns,
            self.coherence,
            survivors,
        )


def _check(msg: SendPacket) -> None:
    if not 1 <= msg.slots <= MOST_SLOTS or msg.slot_ns < 1:
        raise Problem("malformed", f"expected 1 to {MOST_SLOTS} slots of 1 ns or more, found {msg.slots}")
    times = (msg.header_ns, msg.guard_ns, msg.offset_ns, msg.trailer_ns, msg.ttl_ns)
    if not all(0 <= time <= MOST_NS for time in times) or not msg.budget_db >= 0:
        raise Problem("malformed", f"expected times of 0 to {MOST_NS} ns and a budget of 0 dB or more")
