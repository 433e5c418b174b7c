"""Geometry of a satellite in a circular orbit over a station; and the sun's.

Named approximation: the Earth does not turn under a pass, which changes its length by 5 % at most in low orbits.
Source: Wertz, *Mission Geometry; Orbit and Constellation Design and Management* (2001), ch. 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import acos, asin, atan2, cos, degrees, pi, radians, sin, sqrt

EARTH_M = 6_371_000.0
GM = 3.986004418e14
"""m^3/s^2"""
UNIX_OF_J2000_S = 946_728_000.0


def slant_range_m(alt_m: float, elev_deg: float) -> float:
    """Distance to a satellite at altitude `alt_m` seen at an elevation of 0 to 90 degrees."""
    e = radians(elev_deg)
    return sqrt((EARTH_M + alt_m) ** 2 - (EARTH_M * cos(e)) ** 2) - EARTH_M * sin(e)


@dataclass(frozen=True, slots=True)
class Orbit:
    """Angular velocity (rad/s), period (s) and speed (m/s)."""

    omega: float
    period: float
    v: float


def orbit(alt_m: float) -> Orbit:
    """A circular orbit at an altitude."""
    r = EARTH_M + alt_m
    omega = sqrt(GM / r**3)
    return Orbit(omega, 2 * pi / omega, omega * r)


def central_angle_rad(alt_m: float, elev_deg: float) -> float:
    """Angle at the Earth's centre between a station and a satellite that it sees at an elevation."""
    e = radians(elev_deg)
    return acos(EARTH_M * cos(e) / (EARTH_M + alt_m)) - e


def pass_duration_s(alt_m: float, max_elev_deg: float, min_elev_deg: float) -> float:
    """How long a satellite that culminates at `max_elev_deg` is at least `min_elev_deg` high; 0 if it never is."""
    if max_elev_deg <= min_elev_deg:
        return 0.0
    ratio = cos(central_angle_rad(alt_m, min_elev_deg)) / cos(central_angle_rad(alt_m, max_elev_deg))
    return 2 / orbit(alt_m).omega * acos(ratio)


def pass_elevation_deg(alt_m: float, max_elev_deg: float, t_s: float) -> float:
    """Elevation `t_s` seconds after culmination (negative: before); below 0 it is under the horizon."""
    g = acos(cos(central_angle_rad(alt_m, max_elev_deg)) * cos(orbit(alt_m).omega * t_s))
    return degrees(atan2(cos(g) - EARTH_M / (EARTH_M + alt_m), sin(g)))


def sun_elevation_deg(unix_s: float, lat_deg: float, lon_deg: float) -> float:
    """Elevation of the sun's centre without refraction, to about 0.1 degrees (Astronomical Almanac, low precision)."""
    days = (unix_s - UNIX_OF_J2000_S) / 86_400
    anomaly = radians((357.528 + 0.9856003 * days) % 360)
    mean = (280.460 + 0.9856474 * days) % 360
    longitude = radians(mean + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    tilt = radians(23.439)
    declination = asin(sin(tilt) * sin(longitude))
    ascension = atan2(cos(tilt) * sin(longitude), cos(longitude))
    sidereal = radians((280.46062 + 360.98564737 * days + lon_deg) % 360)
    hour, lat = sidereal - ascension, radians(lat_deg)
    return degrees(asin(sin(lat) * sin(declination) + cos(lat) * cos(declination) * cos(hour)))
