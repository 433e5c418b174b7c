"""What classical light in a span does: noise in the gates of quantum links, lines on an optical channel monitor.

For each link: Raman light of every channel on every fibre they share, Rayleigh light of those that come the other way,
four-wave mixing of those that go the same way, and what leaks through filters where their ways part. All of it loses
on the rest of the way what the quantum signal loses there.

Named approximations: mixing is all polarised alike (worst case) and counted per fibre; a channel that parts before the
receiver is filtered twice; channels are not amplified on their way, so powers only fall.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log10

from quoit.engine.physics import coexistence, silica
from quoit.engine.physics.fibre import photon_rate_hz
from quoit.engine.world import ADD_DROP, Hop, TrueChannel, TrueLink, World
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
        power, port = out, hop.span.name


Lit = Mapping[str, list[tuple[TrueChannel, Stretch]]]
"""What is lit on each span."""


def lit_spans(world: World) -> Lit:
    """All classical light of the world, by span; spans without any are not in it."""
    found: dict[str, list[tuple[TrueChannel, Stretch]]] = {}
    for channel in world.channels.values():
        for stretch in stretches(world, channel):
            found.setdefault(stretch.hop.span.name, []).append((channel, stretch))
    return found


@dataclass(frozen=True, slots=True)
class LinkNoise:
    """Photons per second in the filter at a receiver's input, by what makes them."""

    raman_hz: float = 0.0
    leaked_hz: float = 0.0
    mixed_hz: float = 0.0
    sky_hz: float = 0.0

    @property
    def total_hz(self) -> float:
        return self.raman_hz + self.leaked_hz + self.mixed_hz + self.sky_hz


QUIET = LinkNoise()


def noise_of(world: World, link: TrueLink, lit: Lit) -> LinkNoise:
    """What reaches a link's receiver now beside its own light, where `lit` is the light of the world."""
    slot = link.slot
    if slot is None or not any(name in lit or world.spans[name].air is not None for name in link.spans):
        return QUIET
    hops = world.hops(link.source, link.spans)
    rest = _rest(world, link, hops)
    raman = leaked = mixed = sky = 0.0
    for at, hop in enumerate(hops):
        if rest[at] == 0.0 or hop.span.cut:
            continue
        if hop.span.air is not None:
            sky += hop.span.air.background_hz(slot.width_nm) * rest[at]
            continue
        along = lit.get(hop.span.name, [])
        raman += sum(_raman_w(slot, hop, channel, s) for channel, s in along) * rest[at]
        leaked += sum(_back_w(link, slot, hop, channel, s) for channel, s in along) * rest[at]
        leaked += sum(_leak_w(link, slot, hops, at, channel, s) for channel, s in along) * rest[at]
        mixed += _mixed_w(slot, hop, [(c, s) for c, s in along if s.hop.exit == hop.exit]) * rest[at]
    photons = photon_rate_hz(1.0, slot.wavelength_nm * 1e-9)
    return LinkNoise(raman * photons, leaked * photons, mixed * photons, sky)


def _rest(world: World, link: TrueLink, hops: list[Hop]) -> list[float]:
    """Transmittance from each span's end to the receiver; 0 where something blocks the way."""
    found = []
    share = 1.0
    port = ADD_DROP
    for hop in reversed(hops):
        passed = world.passing_db(link.name, hop.exit, hop.span.name, port)
        share = 0.0 if passed is None else share * 10 ** (-passed / 10)
        found.append(share)
        loss = hop.span.total_db
        wl_nm = link.slot.wavelength_nm if link.slot is not None else silica.REFERENCE_NM
        share = 0.0 if loss is None else share * 10 ** (-(loss + hop.span.excess_db(wl_nm)) / 10)
        port = hop.span.name
    return found[::-1]


def _even_db_km(hop: Hop, slot: Slot) -> float:
    """Attenuation with splices and connectors spread along the fibre; a bend is not among them."""
    span = hop.span
    return (span.loss_db + span.excess_db(slot.wavelength_nm)) / span.length_km if span.length_km > 0 else 0.0


def _watt(dbm: float) -> float:
    return float(1e-3 * 10 ** (dbm / 10))


def _raman_w(slot: Slot, hop: Hop, channel: TrueChannel, s: Stretch) -> float:
    same_way = s.hop.exit == hop.exit
    made = coexistence.raman_power_w(
        _watt(s.in_dbm),
        hop.span.length_km,
        silica.raman_beta(channel.slot.centre_hz, slot.centre_hz),
        slot.width_nm,
        _even_db_km(hop, channel.slot),
        _even_db_km(hop, slot),
        "co" if same_way else "ctr",
    )
    # A bend near the sender dims what goes the same way; what is made behind it is not dimmed.
    return float(made * 10 ** (-hop.span.bend_db / 10)) if same_way else made


def _suppressed(link: TrueLink, slot: Slot, channel: TrueChannel) -> float:
    """Share of a channel that a filter of the quantum channel lets through; all of it if they overlap."""
    return 1.0 if slot.overlaps(channel.slot) else float(10 ** (-link.isolation_db / 10))


def _back_w(link: TrueLink, slot: Slot, hop: Hop, channel: TrueChannel, s: Stretch) -> float:
    if s.hop.exit == hop.exit:
        return 0.0
    back = coexistence.rayleigh_back_w(_watt(s.in_dbm), hop.span.length_km, _even_db_km(hop, channel.slot))
    return back * _suppressed(link, slot, channel)


def _leak_w(link: TrueLink, slot: Slot, hops: list[Hop], at: int, channel: TrueChannel, s: Stretch) -> float:
    if s.hop.exit != hops[at].exit or s.out_dbm is None:
        return 0.0
    last = at == len(hops) - 1
    if not last and hops[at + 1].span.name in channel.spans:
        return 0.0  # they go on together, and part farther on
    through = _suppressed(link, slot, channel)
    return _watt(s.out_dbm) * (through if last else through**2)


def _mixed_w(slot: Slot, hop: Hop, along: list[tuple[TrueChannel, Stretch]]) -> float:
    """Mixing products of channels on one span that fall into the slot."""
    if len(along) < 2:
        return 0.0
    lines = sorted((channel.slot.centre_mhz, _watt(s.in_dbm)) for channel, s in along)
    centres = [centre for centre, _ in lines]
    alpha = _even_db_km(hop, slot)
    total = 0.0
    for i, (f1, p1) in enumerate(lines):
        for f2, p2 in lines[i:]:
            # f1 + f2 - f3 within the slot
            low = bisect_right(centres, f1 + f2 - slot.upper_mhz)
            high = bisect_left(centres, f1 + f2 - slot.lower_mhz)
            for f3, p3 in lines[low:high]:
                if f3 in (f1, f2):
                    continue
                apart = silica.phase_mismatch_per_km(f1 * 1e6, f2 * 1e6, f3 * 1e6)
                total += coexistence.fwm_power_w(
                    p1, p2, p3, silica.GAMMA_W_KM, hop.span.length_km, alpha, apart, f1 == f2
                )
    return float(total * 10 ** (-hop.span.bend_db / 10))


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
        raman = sum(_raman_w(beside, s.hop, other, t) for other, t in along if other is not channel)
        noise_dbm = max(FLOOR_DBM, 10 * log10(raman / 1e-3)) if raman > 0 else FLOOR_DBM
        found.append(SeenLine(s.hop.exit, channel.slot, s.out_dbm, s.out_dbm - noise_dbm))
    return tuple(sorted(found, key=lambda line: (line.node, line.slot.centre_mhz, line.dbm)))
