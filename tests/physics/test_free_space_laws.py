"""Laws and independent calculations of light through air and of satellites' passes."""

from __future__ import annotations

from datetime import UTC, datetime
from math import acos, asin, cos, degrees, pi, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.physics import free_space as fs
from quoit.engine.physics import satellite as sat

altitudes = st.floats(2e5, 3.6e7)
elevations = st.floats(1.0, 90.0)


@given(altitudes, elevations)
def test_slant_range_closes_the_triangle_with_the_earths_centre(alt_m: float, elev: float) -> None:
    d = sat.slant_range_m(alt_m, elev)
    # Law of cosines at the station, where the angle is 90 degrees and the elevation.
    orbit = sqrt(sat.EARTH_M**2 + d**2 + 2 * sat.EARTH_M * d * sin(radians(elev)))
    assert orbit == pytest.approx(sat.EARTH_M + alt_m)
    assert d >= alt_m * (1 - 1e-9)


def seen_from_station(alt_m: float, max_elev: float, t_s: float) -> float:
    """Elevation by vectors: a circular orbit in a plane that passes the station at the angle of its culmination."""
    r = sat.EARTH_M + alt_m
    off = sat.central_angle_rad(alt_m, max_elev)
    w = sat.orbit(alt_m).omega * t_s
    satellite = r * np.array([cos(off) * cos(w), sin(w), sin(off) * cos(w)])
    station = np.array([sat.EARTH_M, 0.0, 0.0])
    line = satellite - station
    return degrees(asin(line[0] / float(np.linalg.norm(line))))


@pytest.mark.realises("E1")
@given(st.floats(3e5, 2e6), st.floats(15, 89), st.floats(-400, 400))
def test_elevation_in_a_pass_is_that_of_vectors(alt_m: float, max_elev: float, t_s: float) -> None:
    assert sat.pass_elevation_deg(alt_m, max_elev, t_s) == pytest.approx(
        seen_from_station(alt_m, max_elev, t_s), abs=1e-5
    )


@given(st.floats(3e5, 2e6), st.floats(20, 89), st.floats(5, 19))
def test_a_pass_lasts_from_its_least_elevation_to_its_least_elevation(alt_m: float, top: float, low: float) -> None:
    half = sat.pass_duration_s(alt_m, top, low) / 2
    assert sat.pass_elevation_deg(alt_m, top, half) == pytest.approx(low, abs=1e-4)
    assert sat.pass_elevation_deg(alt_m, top, half - 1) > low > sat.pass_elevation_deg(alt_m, top, half + 1)


def test_a_pass_that_stays_low_does_not_count() -> None:
    assert sat.pass_duration_s(5e5, 15, 20) == 0.0


def test_a_geostationary_orbit_takes_a_sidereal_day() -> None:
    assert sat.orbit(42_164_000 - sat.EARTH_M).period == pytest.approx(86_164, rel=1e-4)


@given(st.floats(0.02, 0.3), st.floats(1e5, 2e6), st.floats(0.1, 1.5), st.floats(0, 5e-6))
def test_jitter_is_averaged_over_exactly_for_small_apertures(w0: float, d: float, rx: float, jitter: float) -> None:
    """Mean over Rayleigh-distributed misses of the Gaussian's value at the aperture, by quadrature."""
    found = fs.beam(w0, 850e-9, d, rx, jitter)
    if rx > 0.2 * found.w_m or jitter < 1e-8:
        return
    miss = np.linspace(0, 12 * jitter * d, 20_001)
    weight = miss / (jitter * d) ** 2 * np.exp(-(miss**2) / (2 * (jitter * d) ** 2))
    mean = np.trapezoid(weight * rx**2 / (2 * found.w_m**2) * np.exp(-2 * miss**2 / found.w_m**2), miss)
    assert found.jittered == pytest.approx(float(mean), rel=0.03)
    assert found.jittered <= found.centred


def test_a_wide_aperture_takes_all_and_a_miss_takes_nothing() -> None:
    assert fs.beam(0.1, 850e-9, 1e3, 10.0).centred == pytest.approx(1.0)
    missed = fs.beam(0.1, 850e-9, 1e6, 1.0, offset_rad=1e-4)
    assert missed.jittered < 1e-30
    assert fs.beam(0.1, 850e-9, 1e6, 1.0, divergence_rad=1e-5).w_m == pytest.approx(10.0, rel=1e-3)


@pytest.mark.realises("E1")
def test_micius_lost_22_db_by_diffraction_at_1200_km() -> None:
    """Liao et al., Nature 549, 43 (2017): about 10 urad (full angle at 1/e^2), 1 m receiver: 22 dB at 1200 km."""
    # A half angle of 5 urad gives 18.6 dB, 10 urad 24.6 dB: what was measured is between.
    losses = [-10 * np.log10(fs.beam(0.15, 848.6e-9, 1.2e6, 1.0, divergence_rad=t).centred) for t in (5e-6, 1e-5)]
    assert losses[0] < 22 < losses[1]


@given(st.floats(0.3, 1.0), elevations)
def test_air_takes_more_the_lower_one_looks(t_zenith: float, elev: float) -> None:
    lower = max(0.5, elev - 0.5)
    assert fs.atmosphere_trans(t_zenith, lower) <= fs.atmosphere_trans(t_zenith, elev) * (1 + 2e-2)
    assert fs.atmosphere_trans(t_zenith, elev) <= 1
    assert fs.atmosphere_trans(t_zenith, 90) == pytest.approx(t_zenith)


def test_air_mass_at_the_horizon_is_finite_and_agrees_with_the_flat_one_above() -> None:
    assert fs.airmass_kasten_young(0.0) == pytest.approx(38, abs=0.5)  # Kasten and Young (1989), table II: 38.08
    for elev in (20, 40, 60, 90):
        assert fs.airmass_kasten_young(elev) == pytest.approx(1 / sin(radians(elev)), rel=1e-2)


@given(st.floats(1e-6, 1e-3), st.floats(0.1, 2), st.floats(0.01, 10))
def test_sky_counts_grow_with_view_area_and_filter(fov: float, rx: float, bw: float) -> None:
    one = fs.background_cps(1.5e-5, fov, rx, bw, 850e-9)
    assert fs.background_cps(1.5e-5, 2 * fov, rx, bw, 850e-9) == pytest.approx(4 * one)
    assert fs.background_cps(1.5e-5, fov, 2 * rx, bw, 850e-9) == pytest.approx(4 * one)
    assert fs.background_cps(1.5e-5, fov, rx, 2 * bw, 850e-9) == pytest.approx(2 * one)


def test_twilight_lies_between_night_and_day() -> None:
    assert fs.sky_radiance(1e-5, 1.0, -30) == pytest.approx(1e-5)
    assert fs.sky_radiance(1e-5, 1.0, 40) == pytest.approx(1.0)
    assert fs.sky_radiance(1e-5, 1.0, -9) == pytest.approx(10**-2.5)


@pytest.mark.parametrize(
    ("when", "lat", "lon", "elevation"),
    [
        # Solstices at noon on a tropic, and the polar circle at midnight: geometry of a tilt of 23.44 degrees.
        (datetime(2026, 6, 21, 12, 2, tzinfo=UTC), 23.44, 0.0, 90.0),
        (datetime(2026, 12, 21, 11, 58, tzinfo=UTC), 40.4, 0.0, 90 - 40.4 - 23.44),
        (datetime(2026, 6, 21, 0, 2, tzinfo=UTC), 66.56, 0.0, 0.0),
        # Equinox: the sun stands over the equator, 12 degrees west of Greenwich 48 minutes after noon there.
        (datetime(2026, 3, 20, 12, 55, tzinfo=UTC), 0.0, -12.0, 90.0),
    ],
)
def test_the_sun_stands_where_almanacs_say(when: datetime, lat: float, lon: float, elevation: float) -> None:
    assert sat.sun_elevation_deg(when.timestamp(), lat, lon) == pytest.approx(elevation, abs=0.6)


def test_twelve_hours_of_day_at_the_equator() -> None:
    start = datetime(2026, 3, 20, tzinfo=UTC).timestamp()
    up = [sat.sun_elevation_deg(start + 60 * minute, 0.0, 77.0) > 0 for minute in range(1440)]
    assert sum(up) == pytest.approx(720, abs=3)


def test_the_central_angle_is_zero_overhead() -> None:
    assert sat.central_angle_rad(5e5, 90) == pytest.approx(0, abs=1e-12)
    horizon = sat.central_angle_rad(5e5, 0)
    assert horizon == pytest.approx(acos(sat.EARTH_M / (sat.EARTH_M + 5e5)))
    assert 0 < horizon < pi / 2
