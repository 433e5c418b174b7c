"""Figures that papers print, as far as the formulas should reach them; and laws that hold everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.engine.physics import bb84, bounds, fibre, finite_key, postprocessing, relay

# Gobby-Yuan-Shields parameters as Ma et al. 2005 use them.
GYS = {"alpha": 0.21, "eta_bob": 0.045, "y0": 1.7e-6, "e_d": 0.033, "f_ec": 1.22}


def test_gys_reach_is_142_km() -> None:
    assert bb84.max_distance_infinite_decoy_km(mu=0.48, **GYS) == pytest.approx(142.05, abs=0.1)


def test_best_intensity_of_gys() -> None:
    assert bb84.mu_opt(0.033, 1.22) == pytest.approx(0.48, abs=0.005)
    assert bb84.mu_opt(0.033, 1.0) == pytest.approx(0.54, abs=0.005)


def test_qber_limit_of_bb84_is_11_percent() -> None:
    assert bb84.bb84_threshold(1.0) == pytest.approx(0.11, abs=2e-4)


def test_secoqc_store_lasts_an_hour() -> None:
    """Peev et al. 2009, sec. 5.1.2: 5.5 MiB down to 2 MiB at about 1 KiB/s."""
    run = relay.store_recursion(3.5 * 2**23, 1e12, 0, 60, 8192, 61)
    minutes = run.served / 8192 / 60
    assert minutes == pytest.approx(59.7, abs=0.1)


@given(km=st.floats(0, 120), mu=st.floats(0.1, 0.9), e_d=st.floats(0.001, 0.05))
def test_decoy_rate_stays_below_the_repeaterless_bound(km: float, mu: float, e_d: float) -> None:
    eta = fibre.eta(km)
    r = bb84.decoy_vacuum_weak(mu, mu / 5, eta * 0.9, 1e-6, e_d, 1.0, 1.0)
    if r.yield_1 > 0 and 0 <= r.error_1 < 0.5 and eta < 1:
        assert r.rate <= bounds.plob(eta)


@given(n=st.floats(1e4, 1e9), q=st.floats(0.005, 0.11))
def test_finite_leakage_is_above_the_shannon_limit(n: float, q: float) -> None:
    assert postprocessing.ec_leak_finite_bits(n, q, 1e-3) > n * bb84.binary_entropy(q)


@settings(max_examples=50)
@given(scale=st.floats(0.05, 20), extra=st.integers(0, 20000))
def test_more_errors_never_give_more_key(scale: float, extra: int) -> None:
    mu, p = (0.45, 0.15), (0.7, 0.3)
    n_k, m_k = [8.1e6 * scale, 1.15e6 * scale], [42000 * scale, 6500 * scale]
    n_t, m_t = [9e5 * scale, 1.28e5 * scale], [9300 * scale, 1400 * scale]
    for proof in (finite_key.onedecoy_2024, finite_key.rusca2018):
        clean = proof(mu, p, n_k, m_k, n_t, m_t, 1e-9, 1e-15)
        noisy = proof(mu, p, n_k, [m_k[0] + extra, m_k[1]], n_t, [m_t[0] + extra / 9, m_t[1]], 1e-9, 1e-15)
        assert noisy.ell <= clean.ell + 1


def test_finite_key_tends_to_less_than_all_single_photons() -> None:
    mu, p = (0.45, 0.15), (0.7, 0.3)
    r = finite_key.onedecoy_2024(mu, p, [8.1e9, 1.15e9], [0, 0], [9e8, 1.28e8], [0, 0], 1e-9, 1e-15)
    singles = sum(pk * math.exp(-k) * k for k, pk in zip(mu, p, strict=True))
    assert 0 < r.ell < 9.25e9
    assert 0 < singles < 1
