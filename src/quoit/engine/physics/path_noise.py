"""Noise in a quantum channel along a path of fibres that it shares with classical channels.

The engine works out with it what is; a planner can work out what would be. Named approximations: splices and connectors
are spread along a fibre, a bend is near the quantum sender; mixing is all polarised alike (worst case) and counted per
fibre; a channel that parts before the receiver is filtered twice.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quoit.engine.physics import coexistence, silica
from quoit.engine.physics.fibre import photon_rate_hz
from quoit.model.spectrum import Slot


@dataclass(frozen=True, slots=True)
class Fibre:
    """One fibre: `loss_db` at 1550 nm without a bend, `bend_db` beside it."""

    length_km: float
    loss_db: float
    bend_db: float = 0.0

    def even_db_km(self, wl_nm: float) -> float:
        """Attenuation with everything but a bend spread along the fibre."""
        if self.length_km <= 0:
            return 0.0
        return (self.loss_db + silica.excess_db(wl_nm, self.length_km, self.loss_db)) / self.length_km


@dataclass(frozen=True, slots=True)
class Guest:
    """A classical channel on one fibre: power going in and coming out (None: it does not), whether it goes the quantum
    signal's way, and whether their ways part at the end of the fibre."""

    slot: Slot
    in_dbm: float
    out_dbm: float | None
    along: bool
    parts: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """A fibre of the path and its guests.

    `rest`: share of the light at its end that gets to the receiver; `last`: the receiver is at its end.
    """

    fibre: Fibre
    guests: Sequence[Guest]
    rest: float
    last: bool


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


def path_noise(slot: Slot, isolation_db: float, segments: Iterable[Segment], sky_hz: float = 0.0) -> LinkNoise:
    """What reaches the receiver of a quantum channel, whose filter keeps light outside `slot` out by `isolation_db`."""
    raman = leaked = mixed = 0.0
    for segment in segments:
        if segment.rest <= 0.0:
            continue
        for guest in segment.guests:
            through = 1.0 if slot.overlaps(guest.slot) else 10 ** (-isolation_db / 10)
            raman += raman_w(slot, segment.fibre, guest.slot, guest.in_dbm, guest.along) * segment.rest
            leaked += _leaked_w(segment, guest, through) * segment.rest
        mixed += _mixed_w(slot, segment.fibre, [g for g in segment.guests if g.along]) * segment.rest
    photons = photon_rate_hz(1.0, slot.wavelength_nm * 1e-9)
    return LinkNoise(raman * photons, leaked * photons, mixed * photons, sky_hz)


def watt(dbm: float) -> float:
    """A power in W."""
    return float(1e-3 * 10 ** (dbm / 10))


def raman_w(slot: Slot, fibre: Fibre, pump: Slot, in_dbm: float, along: bool) -> float:
    """Raman light of a channel in a slot at the end of the fibre."""
    made = coexistence.raman_power_w(
        watt(in_dbm),
        fibre.length_km,
        silica.raman_beta(pump.centre_hz, slot.centre_hz),
        slot.width_nm,
        fibre.even_db_km(pump.wavelength_nm),
        fibre.even_db_km(slot.wavelength_nm),
        "co" if along else "ctr",
    )
    # A bend near the sender dims what goes the same way; what is made behind it is not dimmed.
    return float(made * 10 ** (-fibre.bend_db / 10)) if along else made


def _leaked_w(segment: Segment, guest: Guest, through: float) -> float:
    """What comes through filters: by Rayleigh scattering of a channel that comes against the signal, or directly."""
    if not guest.along:
        alpha = segment.fibre.even_db_km(guest.slot.wavelength_nm)
        return coexistence.rayleigh_back_w(watt(guest.in_dbm), segment.fibre.length_km, alpha) * through
    if guest.out_dbm is None or not guest.parts:
        return 0.0
    return watt(guest.out_dbm) * (through if segment.last else through**2)


def _mixed_w(slot: Slot, fibre: Fibre, along: Sequence[Guest]) -> float:
    """Mixing products that fall into the slot."""
    if len(along) < 2:
        return 0.0
    lines = sorted((guest.slot.centre_mhz, watt(guest.in_dbm)) for guest in along)
    centres = [centre for centre, _ in lines]
    alpha = fibre.even_db_km(slot.wavelength_nm)
    total = 0.0
    for i, (f1, p1) in enumerate(lines):
        for f2, p2 in lines[i:]:
            # f1 + f2 - f3 within the slot
            low = bisect_right(centres, f1 + f2 - slot.upper_mhz)
            high = bisect_left(centres, f1 + f2 - slot.lower_mhz)
            for f3, p3 in lines[low:high]:
                if f3 not in (f1, f2):
                    apart = silica.phase_mismatch_per_km(f1 * 1e6, f2 * 1e6, f3 * 1e6)
                    powers = (p1, p2, p3)
                    total += coexistence.fwm_power_w(
                        *powers, silica.GAMMA_W_KM, fibre.length_km, alpha, apart, f1 == f2
                    )
    return float(total * 10 ** (-fibre.bend_db / 10))
