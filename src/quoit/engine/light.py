"""What classical light in the world does: noise in the gates of quantum links, lines on optical channel monitors.

Noise loses on the rest of the way what the quantum signal loses there. Where a span has an amplifier, classical
channels go on with the power that it gives back. The rest is in `physics.path_noise`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log10

from quoit.engine.physics import silica
from quoit.engine.physics.path_noise import Fibre, Guest, LinkNoise, Segment, path_noise, raman_w
from quoit.engine.world import ADD_DROP, Hop, TrueChannel, TrueLink, TrueSpan, World
from quoit.model.spectrum import Slot

FLOOR_DBM = -60.0
"""What an optical channel monitor still sees."""
OSNR_BANDWIDTH_HZ = 12.5e9
"""0.1 nm, in which noise is stated beside channels."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A channel on one span: power going in and coming out; None: it does not come out."""

    hop: Hop
    in_dbm: float
    out_dbm: float | None


def stretches(world: World, channel: TrueChannel) -> Iterator[Stretch]:
    """Where a channel's light goes, until something stops it. Launch power is that into the first fibre."""
    power = channel.launch_dbm
    if power is None:
        return
    port = ADD_DROP
    for hop in world.hops(channel.source, channel.spans):
        inside = port != ADD_DROP or not channel.bare
        passed = world.passing_db(channel.name, hop.entry, port, hop.span.name) if inside else 0.0
        if passed is None:
            return
        power -= passed if port != ADD_DROP else 0.0
        loss = hop.span.total_db
        if loss is None:
            yield Stretch(hop, power, None)
            return
        out = power - loss - hop.span.excess_db(channel.slot.wavelength_nm)
        yield Stretch(hop, power, out)
        power, port = out + (hop.span.loss_db if hop.span.amplified else 0.0), hop.span.name


Lit = Mapping[str, list[tuple[TrueChannel, Stretch]]]
"""What is lit on each span."""


def lit_spans(world: World) -> Lit:
    """All classical light of the world, by span; spans without any are not in it."""
    found: dict[str, list[tuple[TrueChannel, Stretch]]] = {}
    for channel in world.channels.values():
        for stretch in stretches(world, channel):
            found.setdefault(stretch.hop.span.name, []).append((channel, stretch))
    return found


QUIET = LinkNoise()


def noise_of(world: World, link: TrueLink, lit: Lit) -> LinkNoise:
    """What reaches a link's receiver now beside its own light, where `lit` is the light of the world."""
    slot = link.slot
    if slot is None or not any(name in lit or world.spans[name].air is not None for name in link.spans):
        return QUIET
    hops = world.hops(link.source, link.spans)
    rest = _rest(world, link, hops)
    segments = []
    sky_hz = 0.0
    for at, hop in enumerate(hops):
        if hop.span.air is not None:
            sky_hz += hop.span.air.background_hz(slot.width_nm) * rest[at] if not hop.span.cut else 0.0
        elif not hop.span.cut:
            after = hops[at + 1].span.name if at + 1 < len(hops) else None
            guests = [_guest(hop, after, channel, s) for channel, s in lit.get(hop.span.name, ())]
            segments.append(Segment(_fibre(hop.span), guests, rest[at], after is None))
    return path_noise(slot, link.isolation_db, segments, sky_hz)


def _fibre(span: TrueSpan) -> Fibre:
    return Fibre(span.length_km, span.loss_db, span.bend_db)


def _guest(hop: Hop, after: str | None, channel: TrueChannel, s: Stretch) -> Guest:
    return Guest(channel.slot, s.in_dbm, s.out_dbm, s.hop.exit == hop.exit, after not in channel.spans)


def _rest(world: World, link: TrueLink, hops: list[Hop]) -> list[float]:
    """Transmittance from each span's end to the receiver; 0 where something blocks the way."""
    wl_nm = link.slot.wavelength_nm if link.slot is not None else silica.REFERENCE_NM
    found = []
    share = 1.0
    port = ADD_DROP
    for hop in reversed(hops):
        passed = world.passing_db(link.name, hop.exit, hop.span.name, port)
        share = 0.0 if passed is None else share * 10 ** (-passed / 10)
        found.append(share)
        loss = hop.span.total_db
        share = 0.0 if loss is None else share * 10 ** (-(loss + hop.span.excess_db(wl_nm)) / 10)
        port = hop.span.name
    return found[::-1]


@dataclass(frozen=True, slots=True)
class SeenLine:
    """One channel on the monitor at a span's end."""

    node: str
    slot: Slot
    dbm: float
    osnr_db: float


def lines_on(along: list[tuple[TrueChannel, Stretch]]) -> tuple[SeenLine, ...]:
    """What the monitors at both ends of a span see of the light on it, by node and frequency. Quantum light is far
    below their floor.

    The noise beside a channel is the Raman light of all others at its frequency, or the monitor's own floor.
    """
    found = []
    for channel, s in along:
        if s.out_dbm is None or s.out_dbm < FLOOR_DBM:
            continue
        beside = Slot(channel.slot.centre_mhz, round(OSNR_BANDWIDTH_HZ / 1e6))
        raman = sum(
            raman_w(beside, _fibre(s.hop.span), other.slot, t.in_dbm, t.hop.exit == s.hop.exit)
            for other, t in along
            if other is not channel
        )
        noise_dbm = max(FLOOR_DBM, 10 * log10(raman / 1e-3)) if raman > 0 else FLOOR_DBM
        found.append(SeenLine(s.hop.exit, channel.slot, s.out_dbm, s.out_dbm - noise_dbm))
    return tuple(sorted(found, key=lambda line: (line.node, line.slot.centre_mhz, line.dbm)))
