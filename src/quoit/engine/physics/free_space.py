"""Light through air and space: beams, atmosphere, sky.

Sources: Siegman, *Lasers* (1986), ch. 17, for Gaussian beams; Kasten, Young, Appl. Opt. 28, 4735 (1989) for the air
mass; Er-long et al., New J. Phys. 7, 215 (2005), doi:10.1088/1367-2630/7/1/215, for the sky's radiance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, expm1, hypot, pi, radians, sin
from types import MappingProxyType

from quoit.engine.physics.fibre import photon_rate_hz

LOW_DEG = 20.0
"""Below this elevation a flat atmosphere overstates the air that light passes."""

RADIANCE: Mapping[str, float] = MappingProxyType(
    {
        "moonless": 1.5e-5,
        "new-moon": 1.5e-4,
        "full-moon": 1.5e-3,
        "clear-day": 1.5,
        "hazy-day": 15.0,
        "cloudy-day": 150.0,
    }
)
"""W m^-2 sr^-1 um^-1, Er-long et al. (2005); hazy-day is the upper end of a clear day's range."""


@dataclass(frozen=True, slots=True)
class Beam:
    """1/e^2 radius at the receiver (m), share collected by a beam that hits the centre, and with jitter."""

    w_m: float
    centred: float
    jittered: float


def beam(
    w0_m: float,
    wl_m: float,
    range_m: float,
    rx_diam_m: float,
    point_rms_rad: float = 0.0,
    M2: float = 1.0,
    divergence_rad: float | None = None,
    offset_rad: float = 0.0,
) -> Beam:
    """A Gaussian beam of waist radius `w0_m` and quality `M2` over `range_m`, into an aperture of `rx_diam_m`.

    `point_rms_rad`: Gaussian pointing jitter per axis, averaged over exactly for apertures well inside the beam.
    `divergence_rad`: half angle of the far field, if it is wider than diffraction makes it. `offset_rad`: a steady
    pointing error, for apertures well inside the beam.
    """
    theta = M2 * wl_m / (pi * w0_m) if divergence_rad is None else divergence_rad
    w = hypot(w0_m, theta * range_m)
    half = rx_diam_m**2 / 2
    wide = w**2 + 4 * (point_rms_rad * range_m) ** 2
    missed = exp(-2 * (offset_rad * range_m) ** 2 / wide)
    return Beam(w, -expm1(-half / w**2), -expm1(-half / wide) * missed)


def airmass_kasten_young(elev_deg: float) -> float:
    """Air that light passes against that at the zenith, down to the horizon; 0 to 90 degrees."""
    return 1 / (sin(radians(elev_deg)) + 0.50572 * float((elev_deg + 6.07995) ** -1.6364))


def flat_atmosphere_trans(t_zenith: float, elev_deg: float) -> float:
    """Transmittance of a flat atmosphere at an elevation above 0 degrees if it is `t_zenith` at the zenith."""
    return float(t_zenith ** (1 / sin(radians(elev_deg))))


def atmosphere_trans(t_zenith: float, elev_deg: float) -> float:
    """Transmittance of the atmosphere from 0 to 90 degrees: flat down to 20 degrees, Kasten and Young below."""
    if elev_deg >= LOW_DEG:
        return flat_atmosphere_trans(t_zenith, elev_deg)
    return float(t_zenith ** airmass_kasten_young(elev_deg))


def background_cps(
    H_w_m2_sr_um: float, fov_rad: float, rx_diam_m: float, bw_nm: float, wl_m: float, eta_rx: float = 1.0
) -> float:
    """Counts per second of sky of radiance H in a round field of view (full angle) through a filter of `bw_nm`."""
    solid = pi * (fov_rad / 2) ** 2
    area = pi * (rx_diam_m / 2) ** 2
    return photon_rate_hz(H_w_m2_sr_um * solid * area * bw_nm * 1e-3, wl_m) * eta_rx


NIGHT_DEG, DAY_DEG = -18.0, 0.0


def sky_radiance(night: float, day: float, sun_deg: float) -> float:
    """Radiance between night (sun 18 degrees below the horizon) and day (sun up), on a logarithmic scale.

    Approximation: twilight is a straight line of its logarithm.
    """
    share = min(1.0, max(0.0, (sun_deg - NIGHT_DEG) / (DAY_DEG - NIGHT_DEG)))
    return float(night * (day / night) ** share)
