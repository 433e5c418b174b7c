"""Laws of entanglement that hold for all parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quoit.engine.physics import bell_pairs, binomial, cutoffs, fibre, heralding, memories, services

UNIT = st.floats(0, 1)
SOME = st.floats(0, 0.999)
TIME = st.floats(0, 50)
READOUT = st.floats(0.5, 1)


def _share(weights: list[float]) -> tuple[float, ...]:
    return tuple(w / sum(weights) for w in weights)


PAIR = st.lists(st.floats(1e-9, 1), min_size=4, max_size=4).map(_share)
# T2 is anything up to 2 T1.
COHERENCE = st.tuples(st.floats(0.01, 100), st.floats(0.01, 1)).map(lambda t: (t[0], 2 * t[0] * t[1]))


def _is_a_state(pair: Sequence[float]) -> bool:
    return abs(sum(pair) - 1) < 1e-9 and all(-1e-12 <= p <= 1 + 1e-12 for p in pair)


@given(
    alpha=st.tuples(SOME, SOME),
    eta=st.tuples(SOME, SOME),
    p_d=st.floats(1e-9, 0.2),
    V=UNIT,
    sigma=st.floats(0, 3),
    p_de=UNIT,
    pnr=st.booleans(),
)
def test_one_click_heralds_a_state(
    alpha: tuple[float, float], eta: tuple[float, float], p_d: float, V: float, sigma: float, p_de: float, pnr: bool
) -> None:
    found = heralding.single_click(*alpha, *eta, p_d, V, sigma, p_de, pnr)
    assert 0 < found.p_success <= 1
    assert _is_a_state((found.p_bb, found.p_bd, found.p_db, found.p_dd))
    # A coherence cannot exceed what its populations allow.
    assert found.coherence <= math.sqrt(found.p_bd * found.p_db) + 1e-12
    assert _is_a_state(found.bell_diagonal())
    assert found.bell_diagonal().phi_plus == pytest.approx(found.fidelity, abs=1e-12)
    key = bell_pairs.bell_diagonal_key(found.bell_diagonal())
    assert (key.error_z, key.error_x) == pytest.approx((found.qber_z, found.qber_x), abs=1e-12)


@given(eta=st.tuples(UNIT, UNIT), p_d=st.floats(1e-9, 0.2), V=UNIT, pnr=st.booleans())
def test_two_clicks_herald_a_state(eta: tuple[float, float], p_d: float, V: float, pnr: bool) -> None:
    found = heralding.double_click(*eta, p_d, V, pnr)
    assert 0 < found.p_success <= 1
    assert _is_a_state(found.bell_diagonal)


@given(
    alpha=st.floats(0.01, 0.5),
    eta=st.floats(1e-4, 0.9),
    V=st.floats(0.5, 1),
    p_d=st.floats(1e-7, 1e-3),
    worse=st.floats(0.01, 0.4),
)
def test_no_imperfection_helps_one_click(alpha: float, eta: float, V: float, p_d: float, worse: float) -> None:
    def fidelity(V: float = V, p_d: float = p_d, sigma: float = 0.0, p_de: float = 0.0, pnr: bool = True) -> float:
        return heralding.single_click(alpha, alpha, eta, eta, p_d, V, sigma, p_de, pnr).fidelity

    best = fidelity() + 1e-12
    assert fidelity(V=V * (1 - worse)) <= best
    assert fidelity(sigma=worse) <= best
    assert fidelity(p_de=worse) <= best
    assert fidelity(pnr=False) <= best
    # Dark counts lead away from what they add, white noise's 1/4: a pair worse than that they cannot spoil.
    if best > 0.5:
        assert fidelity(p_d=p_d * (1 + worse)) <= best


@given(alpha=st.floats(0.001, 0.5), eta=st.floats(1e-6, 1e-3))
def test_bright_state_trades_rate_for_fidelity(alpha: float, eta: float) -> None:
    """Weak light and no imperfection: success 2 alpha eta, fidelity 1 - alpha."""
    found = heralding.single_click(alpha, alpha, eta, eta)
    assert found.p_success == pytest.approx(2 * alpha * eta, rel=2e-3)
    assert found.fidelity == pytest.approx(1 - alpha, abs=2e-3)


@given(p=st.floats(1e-4, 1), n=st.integers(1, 12))
def test_more_links_take_longer_but_not_as_long_as_one_by_one(p: float, n: int) -> None:
    one, few, more = (heralding.max_geometric_mean(k, p) for k in (1, n, n + 1))
    assert one == pytest.approx(1 / p)
    assert few <= more * (1 + 1e-12)
    assert more <= few + one * (1 + 1e-9)


@given(km=st.floats(0, 500), prep=st.floats(1e-9, 1e-3))
def test_nothing_is_heralded_before_light_has_come_and_gone(km: float, prep: float) -> None:
    for scheme in ("midpoint_bsm", "midpoint_source", "sender_receiver"):
        assert heralding.attempt_time_s(scheme, km, prep) >= prep + fibre.delay_s(km) * (1 - 1e-12)
    there_and_back = heralding.attempt_time_s("sender_receiver", km, 0.0)
    assert there_and_back == pytest.approx(2 * heralding.attempt_time_s("midpoint_bsm", km, 0.0))


@given(p=st.floats(1e-6, 1), km=st.floats(1, 100), memories_=st.integers(1, 1000))
def test_memories_multiply_the_rate_up_to_the_clock(p: float, km: float, memories_: int) -> None:
    prep = 1e-6
    cycle = heralding.attempt_time_s("midpoint_bsm", km, prep)
    rate = heralding.multiplexed_rate_hz(p, cycle, prep, memories_)
    assert rate <= memories_ * heralding.geometric_link(p, cycle).rate_hz * (1 + 1e-12)
    assert rate <= p / prep * (1 + 1e-12)
    assert heralding.multiplexed_rate_hz(p, cycle, prep) == pytest.approx(heralding.geometric_link(p, cycle).rate_hz)


@given(p_pair=UNIT, eta=st.tuples(UNIT, UNIT, UNIT))
def test_a_photon_that_is_lost_makes_no_pair(p_pair: float, eta: tuple[float, float, float]) -> None:
    assert 0 <= heralding.midpoint_source(p_pair, *eta[:2]) <= min(p_pair, *eta[:2])
    assert 0 <= heralding.sender_receiver(*eta) <= min(eta)
    assert bell_pairs.linear_optics_bsm(eta[0]) <= 0.5


@given(eta=st.floats(0, 1e3), more=st.floats(1.001, 10))
def test_better_links_deliver_better(eta: float, more: float) -> None:
    low, high = (heralding.deterministic_delivery_f_max(x) for x in (eta, eta * more))
    assert 0.25 <= low <= high + 1e-12 <= 1 + 1e-12
    # Ticks as if made again from the start: eta near 1 joins smoothly.
    assert heralding.deterministic_delivery_f_max(1 + 1e-9) == pytest.approx(
        heralding.deterministic_delivery_f_max(1.0), rel=1e-8
    )


@given(t=TIME, u=TIME, times=COHERENCE)
def test_waits_add_up(t: float, u: float, times: tuple[float, float]) -> None:
    """Waiting t and then u is waiting t + u: what lets a ledger age states when they are looked at."""
    pair = (0.7, 0.1, 0.15, 0.05)
    twice = bell_pairs.bell_diag_pauli(
        bell_pairs.bell_diag_pauli(pair, memories.pauli_twirl(t, *times)), memories.pauli_twirl(u, *times)
    )
    once = bell_pairs.bell_diag_pauli(pair, memories.pauli_twirl(t + u, *times))
    assert list(twice) == pytest.approx(list(once), abs=1e-12)
    step = memories.werner_decay(memories.werner_decay(0.9, t, times[0]), u, times[0])
    assert step == pytest.approx(memories.werner_decay(0.9, t + u, times[0]), abs=1e-12)
    attempts = bell_pairs.bell_diag_pauli(
        bell_pairs.bell_diag_pauli(pair, memories.decay_per_attempt(t, 7.0)), memories.decay_per_attempt(u, 7.0)
    )
    assert list(attempts) == pytest.approx(
        list(bell_pairs.bell_diag_pauli(pair, memories.decay_per_attempt(t + u, 7.0))), abs=1e-12
    )


@given(F=st.floats(0.25, 1), t=TIME, longer=TIME, a=COHERENCE, b=COHERENCE)
def test_waiting_helps_no_pair(
    F: float, t: float, longer: float, a: tuple[float, float], b: tuple[float, float]
) -> None:
    def aged(wait: float) -> float:
        errors = memories.pauli_twirl(wait, *a), memories.pauli_twirl(wait, *b)
        assert _is_a_state(errors[0])
        return bell_pairs.bell_diag_pauli(bell_pairs.werner(F), *errors).phi_plus

    assert aged(t + longer) <= aged(t) + 1e-12
    assert 0.25 - 1e-12 <= aged(t) <= F + 1e-12
    assert memories.werner_decay(F, t + longer, a[0]) <= memories.werner_decay(F, t, a[0]) + 1e-12
    psi = [memories.t1t2_bell_fidelity(wait, *a, *b, "psi") for wait in (t, t + longer)]
    assert psi[1] <= psi[0] + 1e-12
    # Psi has one spin to lose in each branch, Phi two or none.
    assert memories.t1t2_bell_fidelity(t, *a, *b) >= psi[0] - 1e-12
    assert memories.t1t2_bell_fidelity(0.0, *a, *b) == 1


@given(t=TIME, a=COHERENCE, b=COHERENCE)
def test_the_twirl_hides_relaxation_from_neither_bell_state(
    t: float, a: tuple[float, float], b: tuple[float, float]
) -> None:
    """Twirled, Phi and Psi fare alike: as the mean of the two when exact."""
    twirled = bell_pairs.bell_diag_pauli((1, 0, 0, 0), memories.pauli_twirl(t, *a), memories.pauli_twirl(t, *b))
    exact = [memories.t1t2_bell_fidelity(t, *a, *b, bell) for bell in ("phi", "psi")]
    assert twirled.phi_plus == pytest.approx(sum(exact) / 2, abs=1e-12)


@given(tau_a=st.floats(1e-3, 1e3), tau_b=st.floats(1e-3, 1e3), t=st.floats(0, 10))
def test_depolarising_halves_are_a_depolarising_pair(tau_a: float, tau_b: float, t: float) -> None:
    def white(tau: float) -> tuple[float, ...]:
        rest = -math.expm1(-t / tau) / 4
        return (1 - 3 * rest, rest, rest, rest)

    pair = bell_pairs.bell_diag_pauli(bell_pairs.werner(0.9), white(tau_a), white(tau_b))
    whole = memories.werner_decay(0.9, t, memories.pair_lifetime_s(tau_a, tau_b))
    assert pair.phi_plus == pytest.approx(whole, abs=1e-12)
    assert memories.pair_lifetime_s(math.inf, math.inf) == math.inf


@given(a=PAIR, b=PAIR, c=PAIR, p2=UNIT, eta_m=READOUT)
def test_swapping_has_no_order_and_makes_nothing_better(
    a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...], p2: float, eta_m: float
) -> None:
    left, right = (
        bell_pairs.swap_noisy(bell_pairs.swap_noisy(a, b, p2, eta_m), c, p2, eta_m),
        bell_pairs.swap_noisy(a, bell_pairs.swap_noisy(b, c, p2, eta_m), p2, eta_m),
    )
    assert list(left) == pytest.approx(list(right), abs=1e-12)
    assert _is_a_state(left)
    # Local operations and talk do not raise entanglement: the greatest weight above all.
    assert max(bell_pairs.swap(a, b)) <= min(max(a), max(b)) + 1e-12
    assert max(bell_pairs.swap_noisy(a, b, p2, eta_m)) <= max(bell_pairs.swap(a, b)) + 1e-12


@given(a=PAIR, b=PAIR, p2=UNIT, eta_m=READOUT)
def test_distillation_gives_states(a: tuple[float, ...], b: tuple[float, ...], p2: float, eta_m: float) -> None:
    found = bell_pairs.dejmps_noisy(a, b, p2, eta_m)
    assert 0 < found.p_success <= 1 + 1e-12
    assert _is_a_state(found.pair)


@given(F=UNIT, F2=UNIT, p2=UNIT, eta_m=READOUT)
def test_both_ways_to_distil_agree_on_white_noise(F: float, F2: float, p2: float, eta_m: float) -> None:
    plain, noisy = bell_pairs.bbpssw(F, F2), bell_pairs.bbpssw_noisy(F, p2, eta_m)
    for found, other in (
        (plain, bell_pairs.dejmps(bell_pairs.werner(F), bell_pairs.werner(F2))),
        (noisy, bell_pairs.dejmps_noisy(bell_pairs.werner(F), bell_pairs.werner(F), p2, eta_m)),
    ):
        assert found.p_success == pytest.approx(other.p_success, abs=1e-12)
        assert found.fidelity == pytest.approx(other.pair.phi_plus, abs=1e-12)
    assert 0 <= noisy.fidelity <= 1


@given(F=st.floats(0.501, 0.999))
def test_ideal_distillation_helps_above_one_half_and_white_noise_never(F: float) -> None:
    assert bell_pairs.bbpssw(F).fidelity > F
    assert bell_pairs.bbpssw(1 - F).fidelity <= 0.5
    assert bell_pairs.bbpssw(F, 0.25).fidelity < F


def test_gates_of_today_may_make_distilled_pairs_worse() -> None:
    """Pairs of 0.86 with two-qubit gates of 0.937 and readout of 0.995."""
    assert bell_pairs.bbpssw(0.86).fidelity > 0.86 > bell_pairs.bbpssw_noisy(0.86, 0.937, 0.995).fidelity


@given(l=PAIR)
def test_nothing_beats_tsirelson(l: tuple[float, ...]) -> None:
    S = bell_pairs.chsh(l)
    assert 0 <= S <= bell_pairs.TSIRELSON + 1e-12
    # Who violates the inequality is entangled: one Bell state weighs more than all others.
    if S > bell_pairs.CLASSICAL_CHSH:
        assert max(l) > 0.5


@pytest.mark.parametrize(("F", "violates"), [(0.7802, False), (0.7804, True)])
def test_werner_pairs_violate_chsh_above_0_7803(F: float, violates: bool) -> None:
    assert (bell_pairs.chsh(bell_pairs.werner(F)) > bell_pairs.CLASSICAL_CHSH) is violates


@given(l=PAIR)
def test_no_key_without_entanglement_and_none_beyond_it(l: tuple[float, ...]) -> None:
    key = bell_pairs.bell_diagonal_key(l)
    assert 0 <= key.bb84 <= key.six_state + 1e-12 <= 1 + 1e-12
    if max(l) <= 0.5:
        assert key.six_state == pytest.approx(0, abs=1e-12)
    errors = (key.error_z, key.error_x, key.error_y)
    assert all(0 <= e <= 1 + 1e-12 for e in errors)
    # Each kind of error is seen in two of the three bases.
    assert sum(errors) == pytest.approx(2 * (1 - l[0]), abs=1e-12)


@given(edges=st.lists(PAIR, min_size=1, max_size=6), one=PAIR)
def test_a_larger_ghz_state_is_no_better(edges: list[tuple[float, ...]], one: tuple[float, ...]) -> None:
    F = bell_pairs.ghz_fusion_fidelity(edges)
    assert -1e-12 <= bell_pairs.ghz_fusion_fidelity([*edges, one]) <= F + abs(one[1]) + 1e-12
    assert bell_pairs.ghz_fusion_fidelity([edges[0]]) == pytest.approx(edges[0][0], abs=1e-12)
    assert bell_pairs.ghz_fusion_fidelity([*edges, (1, 0, 0, 0)]) == pytest.approx(F, abs=1e-12)


@given(F=UNIT, better=UNIT)
def test_what_pairs_are_used_for_grows_with_their_fidelity(F: float, better: float) -> None:
    low, high = sorted((F, better))
    assert bell_pairs.teleport_mean_fidelity(low) <= bell_pairs.teleport_mean_fidelity(high) <= 1
    assert bell_pairs.remote_gate(low).average <= bell_pairs.remote_gate(high).average <= 1
    assert (bell_pairs.teleport_mean_fidelity(F) > 2 / 3 + 1e-12) == (F > 0.5 + 1.5e-12)


@given(p=st.floats(1e-6, 1), m=st.integers(0, 5000), tau=st.floats(1, 1e5), F0=st.floats(0.25, 1))
def test_patience_is_faster_and_costs_fidelity(p: float, m: int, tau: float, F0: float) -> None:
    strict, patient = (cutoffs.cutoff_parallel(p, limit, tau, F0) for limit in (m, m + 1))
    assert patient.mean_slots <= strict.mean_slots * (1 + 1e-9)
    assert patient.waited_fidelity <= strict.waited_fidelity + 1e-9
    for found in (strict, patient):
        assert 0 < found.p_cycle <= 1 + 1e-12
        assert 0.25 - 1e-12 <= found.swapped_fidelity <= found.waited_fidelity + 1e-12 <= F0 + 2e-12
        assert found.mean_slots >= heralding.max_geometric_mean(2, p) * (1 - 1e-9)


@given(p=st.floats(0.01, 1))
def test_without_a_cut_off_links_wait_for_the_slower_one(p: float) -> None:
    found = cutoffs.cutoff_parallel(p, 10_000_000, math.inf, 0.9)
    assert found.mean_slots == pytest.approx(heralding.max_geometric_mean(2, p), rel=1e-9)
    assert found.waited_fidelity == pytest.approx(0.9)


@given(alpha=st.floats(0.01, 0.3), eta=st.floats(1e-3, 0.3), m=st.integers(1, 2000), tau=st.floats(0.01, 10))
def test_a_repeater_is_no_better_than_its_links(alpha: float, eta: float, m: int, tau: float) -> None:
    found = cutoffs.two_link_repeater(alpha, eta, 1e-7, 0.95, 0.1, 1.3e-4, m, tau, 0.99, 0.995)
    assume(found.f_link > 0.25)
    assert 0.25 - 1e-12 <= found.f_end <= found.f_link
    assert found.rate_hz <= found.p_link / 1.3e-4
    assert 0 <= found.key_bps <= found.rate_hz


@given(n=st.integers(0, 300), k=st.integers(-1, 301), q=UNIT)
def test_the_two_tails_are_everything(n: int, k: int, q: float) -> None:
    assert binomial.up_to(n, k, q) + binomial.above(n, k, q) == pytest.approx(1, abs=1e-9)


@given(n=st.integers(1, 200), k=st.integers(0, 200), honest=UNIT, attack=UNIT)
def test_strictness_trades_one_mistake_for_the_other(n: int, k: int, honest: float, attack: float) -> None:
    strict, lax = (services.identity_test(n, limit, honest, attack) for limit in (k, k + 1))
    assert lax.false_reject <= strict.false_reject + 1e-9
    assert lax.false_accept >= strict.false_accept - 1e-9
    assert services.blind_verify_accept(n, k, attack) == pytest.approx(strict.false_accept)


@given(sigma=st.floats(1e-12, 1e-9), n=st.floats(10, 1e7), background=st.floats(0, 1e16), more=st.floats(0, 1e16))
def test_background_never_sharpens_a_clock(sigma: float, n: float, background: float, more: float) -> None:
    quiet, loud = (services.time_sync_crlb_s(sigma, n, b) for b in (background, background + more))
    assert sigma / math.sqrt(n) * (1 - 1e-9) <= quiet <= loud * (1 + 1e-9)
    assert services.time_sync(sigma, 0.0, 0.0, n).one_way_s == pytest.approx(sigma / math.sqrt(n))


@given(N=st.integers(1, 50), vis=st.floats(0.01, 1), shots=st.floats(1, 1e6))
def test_ghz_sensing_helps_where_fringes_are_clear_enough(N: int, vis: float, shots: float) -> None:
    assume(abs(vis * math.sqrt(N) - 1) > 1e-9)
    found = services.ghz_sensing(N, vis, shots)
    assert (found.ghz < found.sql) == (found.gain_db > 0) == (vis > 1 / math.sqrt(N))
    # Heisenberg's limit.
    assert found.ghz >= 1 / (N * math.sqrt(shots)) * (1 - 1e-12)


@given(N=st.integers(1, 40), p=st.floats(0, 0.5), eta=st.tuples(UNIT, UNIT))
def test_noise_only_takes_information(N: int, p: float, eta: tuple[float, float]) -> None:
    assert 0 <= services.ghz_dephasing_qfi(N, p) <= N * N
    assert 0 <= services.noon_loss_qfi(N, *eta) <= N * N * (1 + 1e-12)
    assert services.noon_loss_qfi(N, 1.0, 1.0) == pytest.approx(N * N)
