"""Laws that hold for all parameters: bounds nobody beats, and directions in which nothing may improve."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quoit.engine.physics import (
    attacks,
    bb84,
    bounds,
    cv,
    detectors,
    dps_cow,
    entangled,
    fibre,
    finite_key,
    mdi,
    postprocessing,
    relay,
    twin_field,
)

KM = st.floats(0.1, 250)
ONE_DECOY = ((0.45, 0.15), (0.7, 0.3))
TWO_DECOYS = ((0.5, 0.1, 0.0002), (0.7, 0.2, 0.1))
PROOFS: dict[str, tuple[Callable[..., finite_key.Lim2014 | finite_key.OneDecoy], tuple[tuple[float, ...], ...]]] = {
    "onedecoy_2024": (finite_key.onedecoy_2024, ONE_DECOY),
    "rusca2018": (finite_key.rusca2018, ONE_DECOY),
    "lim2014": (finite_key.lim2014, TWO_DECOYS),
}
EPS = (1e-9, 1e-15)
proofs = pytest.mark.parametrize("proof", list(PROOFS))


@given(km=KM, mu=st.floats(0.1, 0.9), e_d=st.floats(0.001, 0.05))
def test_decoy_bb84_stays_below_the_repeaterless_bound(km: float, mu: float, e_d: float) -> None:
    eta = fibre.eta(km)
    assert bb84.decoy_vacuum_weak(mu, mu / 5, eta, 1e-7, e_d, 1.0, 1.0).rate <= bounds.plob(eta)
    assert bb84.gllp_infinite_decoy(mu, eta, 1e-7, e_d, 1.0, 1.0).rate <= bounds.plob(eta)


@given(km=KM, mu=st.floats(0.05, 0.9), e_d=st.floats(0.0, 0.05))
def test_mdi_stays_below_the_repeaterless_bound(km: float, mu: float, e_d: float) -> None:
    arm = fibre.eta(km / 2)
    assert mdi.mdi(mu, mu, arm, arm, 1e-8, e_d, 1.0).rate <= bounds.plob(arm * arm)


@given(km=st.floats(0.1, 150), v_a=st.floats(0.5, 30), xi=st.floats(0, 0.05), detection=st.sampled_from(["hom", "het"]))
def test_gaussian_modulation_stays_below_the_repeaterless_bound(
    km: float, v_a: float, xi: float, detection: str
) -> None:
    t = fibre.eta(km)
    assert cv.gg02(v_a, t, xi, 0.9, 0.01, 1.0, detection).key <= bounds.plob(t)


@given(km=KM, lam=st.floats(0.001, 0.5), e_d=st.floats(0.0, 0.05))
def test_entangled_pulses_stay_below_the_repeaterless_bound(km: float, lam: float, e_d: float) -> None:
    arm = fibre.eta(km / 2)
    assert entangled.bbm92_spdc(lam, arm, arm, 1e-7, 1e-7, e_d, 1.0, 1.0).rate <= bounds.plob(arm * arm)


def test_twin_fields_pass_the_repeaterless_bound_beyond_35_db_only() -> None:
    def beats(loss_db: float) -> bool:
        eta = 10 ** (-loss_db / 10)
        rates = (twin_field.tf_cal(mu, eta, 1e-8, 1.15, 0.2838).rate for mu in (0.01, 0.02, 0.03, 0.05))
        return max(rates) > bounds.plob(eta)

    assert beats(40)
    assert not beats(25)


@given(mu=st.floats(0.1, 0.9), e_d=st.floats(0, 0.1), y0=st.floats(0, 1e-3), km=KM, ratio=st.floats(0.02, 0.9))
def test_the_decoy_bound_never_promises_more_than_is_there(
    mu: float, e_d: float, y0: float, km: float, ratio: float
) -> None:
    eta = fibre.eta(km)
    bound = bb84.decoy_vacuum_weak(mu, mu * ratio, eta, y0, e_d)
    # In the form of the gains that the bound is about, one photon clicks with probability eta + y0.
    yield_1 = eta + y0
    assert bound.yield_1 <= yield_1 * (1 + 1e-6)
    if bound.yield_1 > 0:
        assert bound.error_1 >= (y0 / 2 + e_d * eta) / yield_1 * (1 - 1e-6) - 1e-300  # no more than floats can hold


@given(
    mu=st.floats(0.01, 5), p_d=st.floats(0, 1e-3), e_d=st.floats(0, 0.5), km=st.floats(0, 400), more=st.floats(0.1, 50)
)
def test_gain_falls_and_error_rises_with_distance(mu: float, p_d: float, e_d: float, km: float, more: float) -> None:
    near = bb84.wcp_two_detector(mu, fibre.eta(km), p_d, e_d)
    far = bb84.wcp_two_detector(mu, fibre.eta(km + more), p_d, e_d)
    assert 0 <= far.gain <= near.gain <= 1
    # Bright light clicks on both sides more often, so near the source the error may be higher than far away.
    if mu * fibre.eta(km) < 0.01 and p_d < 1e-4:
        assert far.error >= near.error * (1 - 0.02)
    assert 0 <= near.error <= 0.5 + 1e-12


@given(n=st.floats(1e4, 1e9), q=st.floats(0.005, 0.11), f_ec=st.floats(1.0, 1.3))
def test_modelled_leakage_is_never_below_the_second_order_bound(n: float, q: float, f_ec: float) -> None:
    bound = postprocessing.ec_leak_finite_bits(n, q, 1e-3)
    assert bound > n * bb84.binary_entropy(q)
    assert postprocessing.ec_leak_bits(n, q, f_ec) >= bound


def _block(proof: str, pulses: float, eta: float, e_d: float) -> list[list[float]]:
    """Expected key clicks, key errors, test clicks, test errors per intensity; a tenth of the clicks are tests."""
    mu, p = PROOFS[proof][1]
    clicks = [bb84.ma_clicks(k, eta, 1e-6, e_d) for k in mu]
    n = [pulses * pk * c.gain for pk, c in zip(p, clicks, strict=True)]
    m = [a * c.error for a, c in zip(n, clicks, strict=True)]
    return [[0.9 * a for a in n], [0.9 * a for a in m], [0.1 * a for a in n], [0.1 * a for a in m]]


@proofs
@given(size=st.floats(9, 13), eta=st.floats(1e-3, 0.1), e_d=st.floats(0.001, 0.08))
def test_a_finite_key_is_shorter_than_full_knowledge_allows(proof: str, size: float, eta: float, e_d: float) -> None:
    bound, (mu, p) = PROOFS[proof]
    pulses = 10**size
    found = bound(mu, p, *_block(proof, pulses, eta, e_d), *EPS)
    per_pulse = 0.0
    for k, pk in zip(mu, p, strict=True):
        known = bb84.gllp_infinite_decoy(k, eta, 1e-6, e_d, 0.0, 1.0)
        per_pulse += pk * (known.rate + 1e-6)  # vacuum clicks are secret too
    assert found.ell <= max(0.0, 0.9 * pulses * per_pulse - found.leak_bits)


@proofs
@given(eta=st.floats(1e-3, 0.1), worse=st.floats(1, 3))
def test_more_errors_never_give_more_key(proof: str, eta: float, worse: float) -> None:
    bound, (mu, p) = PROOFS[proof]
    n_k, m_k, n_t, m_t = _block(proof, 1e11, eta, 0.02)
    clean = bound(mu, p, n_k, m_k, n_t, m_t, *EPS)
    noisy = bound(mu, p, n_k, [m * worse for m in m_k], n_t, [m * worse for m in m_t], *EPS)
    assume(clean.ell > 0)
    assert noisy.ell <= clean.ell
    assert noisy.phase_error >= clean.phase_error


@proofs
def test_larger_blocks_give_more_key_per_pulse(proof: str) -> None:
    bound, (mu, p) = PROOFS[proof]
    sizes = (1e9, 1e10, 1e11, 1e12)
    rates = [bound(mu, p, *_block(proof, n, 0.01, 0.02), *EPS).ell / n for n in sizes]
    assert all(small < large for small, large in pairwise(rates))


@proofs
def test_stricter_security_gives_less_key(proof: str) -> None:
    bound, (mu, p) = PROOFS[proof]
    block = _block(proof, 1e11, 0.01, 0.02)
    loose = bound(mu, p, *block, 1e-6, 1e-15)
    strict = bound(mu, p, *block, 1e-12, 1e-15)
    assert 0 < strict.ell < loose.ell


@proofs
def test_an_empty_block_has_no_key(proof: str) -> None:
    bound, (mu, p) = PROOFS[proof]
    none = [0.0] * len(mu)
    found = bound(mu, p, none, none, none, none, *EPS)
    assert (found.ell, found.phase_error) == (0, 0.5)


@proofs
def test_a_counted_leak_replaces_the_model(proof: str) -> None:
    bound, (mu, p) = PROOFS[proof]
    block = _block(proof, 1e11, 0.01, 0.02)
    free, paid = (bound(mu, p, *block, *EPS, leak_bits=leak) for leak in (0.0, 1000.0))
    assert free.ell - paid.ell == pytest.approx(1000, abs=1e-3)


@proofs
def test_intensities_in_the_wrong_order_are_refused(proof: str) -> None:
    bound, (mu, p) = PROOFS[proof]
    with pytest.raises(ValueError, match="mu1 > mu2"):
        bound(mu[::-1], p, *_block(proof, 1e9, 0.01, 0.02), *EPS)


def test_a_finite_gaussian_key_is_shorter_than_the_asymptotic_one_and_grows_with_the_block() -> None:
    channel = (5.0, 0.5, 0.01, 0.6, 0.1, 0.95)
    keys = [cv.finite(*channel, n, n / 2).key * 2 for n in (1e7, 1e8, 1e9, 1e10)]
    assert all(small < large for small, large in pairwise(keys))
    assert keys[-1] < cv.gg02(*channel).key


def test_an_estimate_that_does_not_exclude_darkness_gives_no_gaussian_key() -> None:
    assert cv.finite(5.0, 1e-6, 0.01, 0.6, 0.1, 0.95, 1e5, 5e4).key == 0


@given(rate=st.floats(0, 1e9), tau=st.floats(0, 1e-4))
def test_dead_time_never_adds_clicks_and_bounds_them(rate: float, tau: float) -> None:
    held = detectors.deadtime_rate(rate, tau)
    extended = detectors.deadtime_rate(rate, tau, "paralyzable")
    assert extended <= held * (1 + 1e-12)
    assert held <= rate
    assert held * tau < 1


@given(fwhm=st.floats(1e-11, 1e-9), window=st.floats(1e-11, 1e-9))
def test_clicks_are_in_one_window_only(fwhm: float, window: float) -> None:
    found = detectors.jitter_window(fwhm, window, window)
    assert found.leak is not None
    assert 0 <= found.capture <= 1
    assert found.capture + found.leak <= 1 + 1e-12


@given(v=st.floats(0.9, 1.0), q=st.floats(0, 0.05), mu=st.floats(0.02, 0.2))
def test_coherent_one_way_needs_its_visibility(v: float, q: float, mu: float) -> None:
    assert dps_cow.cow(mu, v, q, 1.0).rate <= dps_cow.cow(mu, 1.0, q, 1.0).rate


@given(
    s0=st.floats(0, 1e6),
    cap=st.floats(1e6, 1e7),
    ell=st.floats(1, 1e6),
    drain=st.floats(0, 1e4),
    blocks=st.integers(0, 50),
)
def test_bits_of_a_store_are_conserved(s0: float, cap: float, ell: float, drain: float, blocks: int) -> None:
    run = relay.store_recursion(s0, cap, ell, 10.0, drain, blocks)
    assert run.served + run.lost + run.level == pytest.approx(s0 + ell * blocks)
    assert run.served + run.unserved == pytest.approx(drain * 10.0 * blocks)
    assert 0 <= run.level <= cap


@given(frac=st.floats(0, 1), e0=st.floats(0, 0.5))
def test_interception_never_lowers_the_error_rate(frac: float, e0: float) -> None:
    assert attacks.intercept_resend_qber(frac, e0) >= e0 - 1e-12


@given(mu=st.floats(0.1, 1), eta=st.floats(1e-4, 0.1))
def test_a_decoy_sees_that_single_photons_are_blocked(mu: float, eta: float) -> None:
    seen = attacks.pns_decoy_signature(mu, mu / 5, eta, 1e-7, 0.0)
    assert seen.ratio < 0.5
    assert seen.yield_1 == 0


@given(sig=st.floats(1, 1e7), e=st.floats(0, 0.05), e_max=st.floats(0.06, 0.11))
def test_the_noise_that_kills_a_link_puts_it_at_the_limit(sig: float, e: float, e_max: float) -> None:
    noise = attacks.dos_noise_to_kill_cps(sig, e, e_max)
    assert attacks.dos_light_qber(sig, e, noise) == pytest.approx(e_max)


def test_reach_without_background_has_no_end_and_with_too_much_no_beginning() -> None:
    assert bb84.max_distance_infinite_decoy_km(0.2, 0.1, 0.0, 0.02, 1.16, 0.5) == float("inf")
    assert bb84.max_distance_infinite_decoy_km(0.2, 0.1, 1e-6, 0.2, 1.16, 0.5) == 0.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: detectors.deadtime_rate(1.0, 1.0, "dead"), "'dead'"),
        (lambda: cv.gg02(5, 0.5, 0.01, 0.6, 0.1, 0.95, "homodyne"), "hom or het"),
        (lambda: cv.gg02(5, 0.0, 0.01, 0.6, 0.1, 0.95), "transmittance"),
        (lambda: cv.finite(5, 0.5, 0.01, 0.6, 0.1, 0.95, 1e6, 1e6), "n_key"),
        (lambda: bb84.decoy_vacuum_weak(0.1, 0.5, 0.1, 0.0, 0.0), "brighter"),
        (lambda: attacks.intercept_resend_qber(1.0, 0.0, "b92"), "sixstate"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()
