"""Laws and independent calculations of the light that classical channels put into quantum ones."""

from __future__ import annotations

from math import exp, isclose, log, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.physics import coexistence as cx
from quoit.engine.physics import silica
from quoit.engine.physics.fibre import C_M_S

lengths = st.floats(0.01, 300.0)
alphas = st.floats(0.14, 0.6)
ways = st.sampled_from(cx.DIRECTIONS)
NEPER = log(10) / 10


def summed_raman(length: float, a: float, b: float, direction: str) -> float:
    """Photons made in each metre, by quadrature: pump to z, noise from z to the receiver at the far end."""
    z = np.linspace(0, length, 20_001)
    pump = np.exp(-a * (z if direction == "co" else length - z))
    return float(np.trapezoid(pump * np.exp(-b * (length - z)), z))


@pytest.mark.realises("E3")
@given(lengths, alphas, alphas, ways)
def test_raman_is_the_sum_of_what_each_metre_makes(length: float, alpha: float, alpha_q: float, way: str) -> None:
    found = cx.raman_power_w(1e-3, length, 3e-9, 0.2, alpha, alpha_q, way)
    assert found == pytest.approx(
        1e-3 * 3e-9 * 0.2 * summed_raman(length, alpha * NEPER, alpha_q * NEPER, way), rel=1e-5
    )


@given(lengths, alphas)
def test_counter_to_co_is_sinh_over_its_argument(length: float, alpha: float) -> None:
    co, ctr = (cx.raman_power_w(1e-3, length, 3e-9, 0.2, alpha, direction=way) for way in cx.DIRECTIONS)
    x = alpha * NEPER * length
    assert ctr / co == pytest.approx(np.sinh(x) / x, rel=1e-9)
    assert ctr >= co


def test_co_propagating_noise_peaks_where_attenuation_is_one_neper_and_counter_saturates() -> None:
    km = np.linspace(0.5, 200, 4_000)
    co = [cx.raman_power_w(1.0, float(x), 1.0, 1.0) for x in km]
    assert km[int(np.argmax(co))] == pytest.approx(1 / (0.2 * NEPER), abs=0.1)  # 21.7 km
    far = cx.raman_power_w(1.0, 1e4, 1.0, 1.0, direction="ctr")
    assert far == pytest.approx(1 / (2 * 0.2 * NEPER))  # 10.9 km of effective length


@given(lengths, alphas, alphas, ways, st.floats(-40, 20), st.floats(0.1, 10))
def test_raman_grows_with_power_in_proportion(
    length: float, alpha: float, alpha_q: float, way: str, dbm: float, more: float
) -> None:
    power = 1e-3 * 10 ** (dbm / 10)
    one, other = (cx.raman_power_w(p, length, 3e-9, 0.2, alpha, alpha_q, way) for p in (power, power * more))
    assert other == pytest.approx(more * one)


def test_direction_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="direction is one of co, ctr, found 'back'"):
        cx.raman_power_w(1e-3, 10, 3e-9, 0.2, direction="back")


@given(st.floats(1e-6, 0.1), st.floats(0, 0.1), st.floats(0.11, 0.45))
def test_tolerable_noise_lifts_the_qber_to_its_limit(gain: float, error: float, limit: float) -> None:
    assert cx.coexist_qber(gain, error, cx.noise_tolerable(gain, error, limit)) == pytest.approx(limit)


@given(lengths, alphas)
def test_rayleigh_light_is_the_sum_of_what_each_metre_sends_back(length: float, alpha: float) -> None:
    z = np.linspace(0, length, 20_001)
    back = 1.5e-3 * 0.17 * NEPER * np.trapezoid(np.exp(-2 * alpha * NEPER * z), z)
    assert cx.rayleigh_back_w(1.0, length, alpha) == pytest.approx(float(back), rel=1e-5)


@pytest.mark.realises("E3")
@given(st.floats(0.1, 120.0), st.floats(0.14, 0.4), st.floats(0, 20), st.booleans())
def test_mixing_is_the_coherent_sum_of_what_each_metre_mixes(
    length: float, alpha: float, mismatch: float, degenerate: bool
) -> None:
    """Undepleted pumps: each metre adds with the phase it has against the wave that is there (Inoue 1992, eq. 4)."""
    a = alpha * NEPER
    z = np.linspace(0, length, 200_001)
    wave = abs(np.trapezoid(np.exp((-a + 1j * mismatch) * z), z))
    ways = 1 if degenerate else 2
    expected = (ways * 1.3 * wave) ** 2 * 1e-9 * exp(-a * length)
    found = cx.fwm_power_w(1e-3, 1e-3, 1e-3, 1.3, length, alpha, mismatch, degenerate)
    assert found == pytest.approx(expected, rel=2e-3, abs=1e-25)


def test_mixing_has_its_limits() -> None:
    matched = cx.fwm_power_w(1e-3, 1e-3, 1e-3, 1.3, 20, 0.2, 0.0)
    assert cx.fwm_power_w(1e-3, 1e-3, 1e-3, 1.3, 20, 0.2, 1e-6) == pytest.approx(matched)
    assert cx.fwm_power_w(1e-3, 1e-3, 1e-3, 1.3, 20, 0.2, 50.0) < 1e-4 * matched
    lossless = cx.fwm_power_w(1e-3, 1e-3, 1e-3, 1.3, 20, 0.0, 0.5)
    assert lossless == pytest.approx((2 * 1.3 * 20) ** 2 * 1e-9 * (np.sin(5) / 5) ** 2)


@given(st.integers(1, 60), st.floats(-40, 0))
def test_more_channels_never_mean_more_key(channels: int, dbm: float) -> None:
    link = dict(  # noqa: C408 - its entries are arguments
        L_km=25.0, alpha_q=0.2, alpha_c=0.2, launch_dbm=dbm, beta=3e-9, bw_nm=0.2, wl_q_m=1.55e-6, gate_s=1e-9,
        eta_rx=0.1, y0_dark=1e-6, mu=0.48, e_d=0.015,
    )  # fmt: skip
    fewer, more = (cx.coexist_decoy_link(n_ch=n, **link) for n in (channels - 1, channels))
    assert more.rate < fewer.rate
    assert more.error > fewer.error


def test_the_most_channels_are_the_last_that_leave_a_key() -> None:
    link = dict(  # noqa: C408 - its entries are arguments
        L_km=25.0, alpha_q=0.2, alpha_c=0.2, launch_dbm=-15.0, beta=3e-9, bw_nm=0.2, wl_q_m=1.55e-6, gate_s=1e-9,
        eta_rx=0.1, y0_dark=1e-6, mu=0.48, e_d=0.015,
    )  # fmt: skip
    most = cx.coexist_max_channels(**link)
    assert cx.coexist_decoy_link(n_ch=most, **link).rate > 0 >= cx.coexist_decoy_link(n_ch=most + 1, **link).rate
    assert cx.coexist_max_channels(**{**link, "launch_dbm": 10.0}) == 0
    with pytest.raises(ValueError, match="do no harm"):
        cx.coexist_max_channels(**{**link, "beta": 1e-30})


# -- silica ---------------------------------------------------------------------------------------------

HOLLENBECK_CANTRELL = (
    (56.25, 1.0, 52.10, 17.37), (100.0, 11.40, 110.42, 38.81), (231.25, 36.67, 175.0, 58.33),
    (362.50, 67.67, 162.50, 54.17), (463.0, 74.0, 135.33, 45.11), (497.0, 4.5, 24.5, 8.17),
    (611.5, 6.8, 41.5, 13.83), (691.67, 4.6, 155.0, 51.67), (793.67, 4.2, 59.5, 19.83),
    (835.5, 4.5, 64.3, 21.43), (930.0, 2.7, 150.0, 50.0), (1080.0, 3.1, 91.0, 30.33), (1215.0, 3.0, 160.0, 53.33),
)  # fmt: skip
"""Position, intensity, Gaussian and Lorentzian width of each mode, 1/cm: table 1 of the paper."""


def gain_spectrum(shifts_thz: np.ndarray) -> np.ndarray:
    """Sine transform of the response h(t) of the paper's eq. 9, against its maximum."""
    c = C_M_S * 100 * 1e-12  # cm/ps
    t = np.linspace(0, 8, 40_001)
    h = sum(
        a * np.exp(-pi * c * lorentz * t - (pi * c * gauss * t) ** 2 / 4) * np.sin(2 * pi * c * at * t)
        for at, a, gauss, lorentz in HOLLENBECK_CANTRELL
    )
    at = np.concatenate([shifts_thz, np.arange(12.5, 14, 0.05)])
    found = np.array([np.trapezoid(h * np.sin(2 * pi * f * t), t) for f in at])
    return found[: len(shifts_thz)] / found.max()


def test_the_raman_table_is_the_published_spectrum() -> None:
    shifts = np.arange(0.0, 43.0)
    assert np.array(silica._RAMAN_GAIN) == pytest.approx(gain_spectrum(shifts), abs=2e-4)


@pytest.mark.realises("E3")
def test_raman_cross_sections_are_those_that_were_measured() -> None:
    thz = 1e12
    c_band = [silica.raman_beta(p * thz, q * thz) for p in np.arange(191.4, 196, 0.2) for q in (191.4, 193.4, 196)]
    assert 1e-9 < min(c_band) < max(c_band) <= 3.001e-9  # 1 to 3e-9 /(km nm): Kumar et al. (2015)
    # C band to 1310 nm: at most 3e-12 explains the 66 km of Mao et al. (2018).
    assert silica.raman_beta(193.4 * thz, 228.85 * thz) == silica.RAMAN_FLOOR == 2e-12


@given(st.floats(190, 197), st.floats(0.01, 40))
def test_stokes_light_is_stronger_by_the_boltzmann_factor(pump_thz: float, shift_thz: float) -> None:
    stokes = silica.raman_beta(pump_thz * 1e12, (pump_thz - shift_thz) * 1e12)
    other = silica.raman_beta(pump_thz * 1e12, (pump_thz + shift_thz) * 1e12)
    assert stokes >= other >= silica.RAMAN_FLOOR
    if other > silica.RAMAN_FLOOR:
        shift = abs((pump_thz + shift_thz) - pump_thz)
        kelvin = 6.62607015e-34 * shift * 1e12 / 1.380649e-23
        assert stokes / other == pytest.approx(exp(kelvin / 300), rel=1e-6)


@given(st.floats(600, 1700), st.floats(-1, 1))
def test_attenuation_has_no_steps(wl_nm: float, step: float) -> None:
    assert abs(silica.attenuation_db_km(wl_nm + step) - silica.attenuation_db_km(wl_nm)) <= 0.03 * abs(step) + 1e-9


def test_attenuation_is_that_of_cable() -> None:
    assert silica.attenuation_db_km(1310) == pytest.approx(0.33)
    assert silica.attenuation_db_km(1550) == silica.attenuation_db_km(1531) == 0.20
    assert silica.attenuation_db_km(850) > 2


def test_dispersion_is_that_of_standard_fibre() -> None:
    assert silica.dispersion_ps_nm_km(1550) == pytest.approx(17, abs=1)
    assert silica.dispersion_ps_nm_km(1310) == pytest.approx(0, abs=1e-9)
    # 100 GHz apart at 1550 nm, 17 ps/(nm km): 2 pi lambda^2/c D df^2 = 8.6 /km
    f = C_M_S / 1550e-9
    assert silica.phase_mismatch_per_km(f + 1e11, f + 1e11, f) == pytest.approx(8.6, rel=0.05)
    assert isclose(silica.phase_mismatch_per_km(f + 1e11, f, f), 0.0, abs_tol=1e-12)


def test_raman_noise_is_what_a_homodyne_receiver_saw() -> None:
    """Kumar et al. (2015): 1.3e-3 and 1.6e-3 shot-noise units at 0 dBm over 25 km, forward and backward."""
    for way, published in (("co", 1.3e-3), ("ctr", 1.6e-3)):
        hertz_per_nm = C_M_S / 1550e-9**2 * 1e-9
        power = cx.raman_power_w(1e-3, 25, 3e-9, 1.0, direction=way) / hertz_per_nm
        modes = power / (6.62607015e-34 * C_M_S / 1550e-9) / 2  # photons per mode and polarisation
        assert 2 * modes == pytest.approx(published, rel=0.25)
