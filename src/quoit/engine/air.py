"""A path through air or space as it really is: geometry, weather, pointing, sky, from one instant to the next.

Named approximations: the aperture is far inside a wandering beam; a cloud lets nothing through; haze adds the modulus
of a Gaussian, so it never improves on the clear sky; turbulence is part of the pointing jitter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, hypot, log10, sqrt

import numpy as np

from quoit.engine.physics.free_space import atmosphere_trans, background_cps, beam, sky_radiance
from quoit.engine.physics.satellite import pass_duration_s, pass_elevation_deg, slant_range_m, sun_elevation_deg

S = 10**9
Streams = Callable[[str], np.random.Generator]
"""The generator for a purpose."""


class Wander:
    """An Ornstein-Uhlenbeck process of mean 0 and rms 1, exact over steps of any length."""

    def __init__(self, tau_s: float) -> None:
        self._tau_s = tau_s
        self.value = 0.0
        self._begun = False

    def advance(self, dt_s: float, rng: np.random.Generator) -> float:
        """The value `dt_s` later; the first one is from the steady state."""
        kept = exp(-dt_s / self._tau_s) if self._begun else 0.0
        self._begun = True
        self.value = kept * self.value + sqrt(1 - kept**2) * float(rng.standard_normal())
        return self.value


@dataclass(frozen=True)
class Pass:
    """A culmination: when, and how high."""

    at_ns: int
    elevation_deg: float


@dataclass(frozen=True)
class Orbiting:
    """One end is a satellite in a circular orbit. `every_ns`: the passes come again after so long; 0: they do not."""

    altitude_m: float
    min_elevation_deg: float
    zenith_transmittance: float
    passes: tuple[Pass, ...]
    every_ns: int = 0

    def windows(self, now_ns: int) -> list[tuple[int, int, Pass]]:
        """(rise, set, pass) of those that are not over, in the repetition under way and the next."""
        turn = now_ns // self.every_ns if self.every_ns else 0
        found = []
        for again in (turn - 1, turn, turn + 1) if self.every_ns else (0,):
            for one in self.passes:
                half = pass_duration_s(self.altitude_m, one.elevation_deg, self.min_elevation_deg) / 2
                top = one.at_ns + again * self.every_ns
                rise, sets = top - round(half * S), top + round(half * S)
                if sets > max(now_ns, 0):
                    found.append((rise, sets, Pass(top, one.elevation_deg)))
        return sorted(found, key=lambda window: window[0])

    def elevation_deg(self, now_ns: int) -> float | None:
        """How high it stands; None if it is too low to be used."""
        for rise, sets, one in self.windows(now_ns):
            if rise <= now_ns < sets:
                return pass_elevation_deg(self.altitude_m, one.elevation_deg, (now_ns - one.at_ns) / S)
        return None


@dataclass(frozen=True)
class Sky:
    """Radiance at night and by day, W m^-2 sr^-1 um^-1; equal ones need no place. `fov_rad`: full angle."""

    night: float
    day: float
    fov_rad: float
    lat_deg: float = 0.0
    lon_deg: float = 0.0
    epoch_unix_s: float = 0.0

    def radiance(self, now_ns: int) -> float:
        """At an instant of the scenario."""
        if self.night == self.day:
            return self.night
        sun = sun_elevation_deg(self.epoch_unix_s + now_ns / S, self.lat_deg, self.lon_deg)
        return sky_radiance(self.night, self.day, sun)


@dataclass(frozen=True)
class AirPlan:
    """What does not change. `orbit` None: two fixed ends, `range_m` apart, with `extinction_db_km` between them.

    `haze_db`, `haze_s`: rms and correlation time of added loss; `cloud`, `cloud_s`: share of the time that a cloud is
    in the way, and how long it takes to change; `wander_rad`, `wander_s`: slow pointing error, per axis.
    """

    wavelength_nm: float
    waist_m: float
    receiver_m: float
    divergence_rad: float | None
    jitter_rad: float
    optics_db: float
    sky: Sky
    orbit: Orbiting | None = None
    range_m: float = 0.0
    extinction_db_km: float = 0.0
    haze_db: float = 0.0
    haze_s: float = 600.0
    cloud: float = 0.0
    cloud_s: float = 1200.0
    wander_rad: float = 0.0
    wander_s: float = 30.0
    step_ns: int = S

    def clear_loss_db(self, elevation_deg: float | None, offset_rad: float = 0.0) -> float:
        """Loss without weather, seen at an elevation (of satellites)."""
        if self.orbit is None or elevation_deg is None:
            range_m, air_db = self.range_m, self.extinction_db_km * self.range_m / 1e3
        else:
            range_m = slant_range_m(self.orbit.altitude_m, elevation_deg)
            air_db = -10 * log10(atmosphere_trans(self.orbit.zenith_transmittance, elevation_deg))
        collected = beam(
            self.waist_m,
            self.wavelength_nm * 1e-9,
            range_m,
            self.receiver_m,
            self.jitter_rad,
            divergence_rad=self.divergence_rad,
            offset_rad=offset_rad,
        ).jittered
        return air_db + self.optics_db - 10 * log10(max(collected, 1e-30))

    @property
    def best_loss_db(self) -> float:
        """At the highest culmination, in clear air."""
        highest = max((p.elevation_deg for p in self.orbit.passes), default=90.0) if self.orbit else None
        return self.clear_loss_db(highest)

    @property
    def longest_km(self) -> float:
        """The longest way light takes while the path is in use."""
        if self.orbit is None:
            return self.range_m / 1e3
        return slant_range_m(self.orbit.altitude_m, self.orbit.min_elevation_deg) / 1e3

    @property
    def moves(self) -> bool:
        """Whether anything of it changes by itself."""
        restless = self.haze_db > 0 or self.cloud > 0 or self.wander_rad > 0
        return self.orbit is not None or restless or self.sky.night != self.sky.day


class AirPath:
    """The state: loss and sky now. `loss_db` None: out of sight, or a cloud is in the way."""

    def __init__(self, plan: AirPlan) -> None:
        self.plan = plan
        self.loss_db: float | None = None if plan.orbit else plan.clear_loss_db(None)
        self.radiance = plan.sky.radiance(0)
        self.clouded = False
        self._haze = Wander(plan.haze_s)
        self._tilt = Wander(plan.wander_s), Wander(plan.wander_s)
        self._at_ns: int | None = None

    def advance(self, now_ns: int, streams: Streams) -> None:
        """Go on to an instant."""
        plan = self.plan
        dt_s = 0.0 if self._at_ns is None else (now_ns - self._at_ns) / S
        haze_db = abs(self._haze.advance(dt_s, streams("haze"))) * plan.haze_db if plan.haze_db else 0.0
        offset = 0.0
        if plan.wander_rad:
            rng = streams("pointing")
            offset = plan.wander_rad * hypot(*(axis.advance(dt_s, rng) for axis in self._tilt))
        if plan.cloud:
            kept = exp(-dt_s / plan.cloud_s) if self._at_ns is not None else 0.0
            chance = plan.cloud + (float(self.clouded) - plan.cloud) * kept
            self.clouded = bool(streams("clouds").random() < chance)
        self._at_ns = now_ns
        self.radiance = plan.sky.radiance(now_ns)
        elevation = plan.orbit.elevation_deg(now_ns) if plan.orbit else None
        if self.clouded or (plan.orbit is not None and elevation is None):
            self.loss_db = None
        else:
            self.loss_db = plan.clear_loss_db(elevation, offset) + haze_db

    def next_ns(self, now_ns: int) -> int | None:
        """When to look again; None: never, nothing will change."""
        orbit = self.plan.orbit
        if orbit is None:
            return now_ns + self.plan.step_ns if self.plan.moves else None
        for rise, sets, _ in orbit.windows(now_ns):
            if now_ns < rise:
                return rise
            if now_ns < sets:
                return min(now_ns + self.plan.step_ns, sets)
        return None

    def background_hz(self, filter_nm: float) -> float:
        """Photons per second of sky behind the receiving telescope, in a filter. None comes when nobody looks."""
        if self.plan.orbit is not None and self.loss_db is None:
            return 0.0
        plan = self.plan
        seen = background_cps(self.radiance, plan.sky.fov_rad, plan.receiver_m, filter_nm, plan.wavelength_nm * 1e-9)
        return float(seen * 10 ** (-plan.optics_db / 10))
