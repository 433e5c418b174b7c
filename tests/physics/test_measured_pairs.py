"""What ends read of pairs, against quantum mechanics: error rates, CHSH values, attacks, and bounds that hold.

False alarms: each statistical comparison allows five standard deviations (6e-7), and no test makes more than 60.
"""

from __future__ import annotations

from math import cos, exp, log, log2, pi, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quoit.engine.channels import PairLink, state_now, success_now
from quoit.engine.links.pairs import Setting, Settings, measured
from quoit.engine.physics.bb84 import binary_entropy
from quoit.engine.physics.bell_pairs import BellDiagonal, bell_diagonal_key, chsh, werner
from quoit.engine.physics.entangled_key import (
    FLIP,
    bbm92_length,
    chsh_of_counts,
    e91_length,
    least_key_fidelity,
)
from quoit.engine.program import Hop, pair_of, state_of
from quoit.engine.world import TrueLink, TrueSpan, World
from quoit.fabric.links.pairs import E91, BBM92Pairs
from quoit.fabric.links.profile import E91Profile, PairsProfile

PAIRS = 200_000
SIGMAS = 5
X = np.array([[0, 1], [1, 0]])
Z = np.diag([1, -1])
I = np.eye(2)
PHI = np.array([1, 0, 0, 1]) / sqrt(2)
PHI_PLUS = np.outer(PHI, PHI)

bell_pairs = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda w: BellDiagonal(*(v / sum(w) for v in w)))


def matrix(pair: BellDiagonal) -> NDArray[np.float64]:
    """Phi+ hit by I, Z, X, XZ at one end."""
    found = np.zeros((4, 4))
    for share, pauli in zip(pair, (I, Z, X, X @ Z), strict=True):
        both = np.kron(I, pauli)
        found += share * both @ PHI_PLUS @ both.T
    return found


def along(angle: float) -> NDArray[np.float64]:
    return cos(angle) * Z + sin(angle) * X


def differ(rho: NDArray[np.float64], a: float, b: float) -> float:
    """Probability that results in these directions differ."""
    return float((1 - np.trace(rho @ np.kron(along(a), along(b)))) / 2)


def counted(pair: BellDiagonal, of: Settings, readout: float = 1.0, seed: int = 1) -> NDArray[np.int64]:
    """Counts, shape (left settings, right settings, 2)."""
    states = np.tile(state_of(pair), (PAIRS, 1))
    counts = measured(of, states, (2 * readout - 1) ** 2, np.random.Generator(np.random.Philox(seed)))
    return np.array(counts).reshape(len(of.left), len(of.right), 2)


def close(count: int, n: int, p: float) -> bool:
    return bool(abs(count - n * p) <= SIGMAS * sqrt(n * p * (1 - p)) + 1)


@pytest.mark.realises("F2", "F4")
@pytest.mark.parametrize(
    "pair", [werner(0.93), BellDiagonal(0.85, 0.1, 0.04, 0.01), BellDiagonal(0.25, 0.25, 0.4, 0.1)]
)
@pytest.mark.parametrize("protocol", [BBM92Pairs(PairsProfile()), E91(E91Profile())])
def test_results_differ_as_often_as_the_density_matrix_says(pair: BellDiagonal, protocol: BBM92Pairs | E91) -> None:
    of = protocol.settings()
    found, rho = counted(pair, of), matrix(pair)
    assert found[..., 0].sum() == PAIRS
    for i, left in enumerate(of.left):
        for j, right in enumerate(of.right):
            n, m = found[i, j]
            assert close(n, PAIRS, left.p * right.p)
            assert close(m, n, differ(rho, left.angle_rad, right.angle_rad))


def test_error_rates_and_s_are_those_of_the_closed_forms() -> None:
    pair = BellDiagonal(0.9, 0.05, 0.03, 0.02)
    key = bell_diagonal_key(pair)
    bbm92 = counted(pair, BBM92Pairs(PairsProfile()).settings())
    for basis, error in ((0, key.error_z), (1, key.error_x)):
        n, m = bbm92[basis, basis]
        assert close(m, n, error)
    e91 = counted(werner(0.95), E91(E91Profile()).settings())
    tests = [tuple(int(c) for c in e91[i, j]) for i, j in ((0, 1), (0, 2), (2, 1), (2, 2))]
    s = chsh_of_counts(tests, 1e-10)  # type: ignore[arg-type]
    spread = SIGMAS * sqrt(sum(1 / n for n, _ in tests))
    assert s.estimate == pytest.approx(chsh(werner(0.95)), abs=spread)
    assert s.least < s.estimate


def test_misread_bits_take_their_share_of_the_correlators() -> None:
    of, eta = BBM92Pairs(PairsProfile()).settings(), 0.97
    n, m = counted(werner(1.0), of, eta)[0, 0]
    assert close(m, n, 2 * eta * (1 - eta))


def world(**true: float) -> tuple[World, PairLink]:
    link = TrueLink("ab", ("span",))
    for name, value in true.items():
        setattr(link, name, value)
    return World({"span": TrueSpan("span", 4.0)}, {"ab": link}), PairLink("ab", 4.0, 2)


@given(bell_pairs, st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_an_intercepted_pair_is_what_measuring_and_resending_leaves(
    pair: BellDiagonal, fraction: float, white: float
) -> None:
    """On density matrices: one half is measured in Z or X at random, and what was found is sent on."""
    true, link = world(intercepted=fraction, depolarised=white)
    rho = matrix(pair)
    resent = np.zeros((4, 4))
    for basis in (Z, X):
        for sign in (1, -1):
            projector = np.kron(I, (I + sign * basis) / 2)
            resent += projector @ rho @ projector.T / 2
    expected = (1 - white) * ((1 - fraction) * rho + fraction * resent) + white * np.eye(4) / 4
    found = state_now(true, link, Hop(0, 0.5, 1, state_of(pair)))
    assert np.allclose(matrix(pair_of(found)), expected, atol=1e-9)


def test_loss_takes_pairs_and_leaves_their_state() -> None:
    true, link = world()
    hop = Hop(0, 0.5, 1, (0.9, 0.9, 0.9))
    assert success_now(true, link, hop) == 0.5
    true.spans["span"].bend_db = 3.0
    assert success_now(true, link, hop) == pytest.approx(0.5 * 10**-0.3)
    assert state_now(true, link, hop) == (0.9, 0.9, 0.9)
    true.spans["span"].cut = True
    assert success_now(true, link, hop) == 0


def test_reading_at_45_degrees_at_random_is_reading_x_with_flips() -> None:
    """The step of the proof that makes the CHSH rounds a test of the phase error."""
    up = (I + along(pi / 4)) / 2
    down = (I - along(-pi / 4)) / 2
    in_x = (I + X) / 2
    assert np.allclose((up + down) / 2, (1 - FLIP) * in_x + FLIP * (I - in_x))


def test_the_parts_of_a_keys_secrecy_add_up_to_what_is_promised() -> None:
    """From the length alone: the sampling's tail is the square of the smoothing, which counts at both ends, and the
    hashing leaves half the root of 2 to what the length is above the min-entropy."""
    n, k, e, eps, cor = 10**6, 10**6, 0.02, 1e-9, 1e-15
    found = bbm92_length(n, round(n * e), k, round(k * e), 1.16, eps, cor)
    tail = exp(-2 * (found.phase_error - e) ** 2 * n * k**2 / ((n + k) * (k + 1)))
    entropy = n * (1 - binary_entropy(found.phase_error)) - found.leak_bits - log2(2 / cor)
    hashing = sqrt(2 ** (found.bits - entropy)) / 2
    assert 2 * sqrt(tail) + hashing == pytest.approx(eps, rel=1e-3)


def test_key_length_is_the_published_formula() -> None:
    """Written out again: Tomamichel et al. 2012 with eps' = eps_sec / 4, f h(e) n bits of leakage (long blocks)."""

    def h(p: float) -> float:
        return -p * log2(p) - (1 - p) * log2(1 - p)

    n, k, e, f, eps, cor = 1_000_000, 600_000, 0.03, 1.16, 1e-10, 1e-15
    mu = sqrt((n + k) / (n * k) * (k + 1) / k * log(4 / eps))
    expected = n * (1 - h(e + mu)) - f * h(e) * n - log2(2 / (eps**2 * cor))
    assert bbm92_length(n, round(n * e), k, round(k * e), f, eps, cor).bits == pytest.approx(expected, abs=2)
    # Of endless blocks BBM92 and E91 leave the same share, that of the closed form.
    huge = 10**14
    share = 1 - 2 * h(e)
    seen = FLIP + (1 - 2 * FLIP) * e
    for found in (
        bbm92_length(huge, round(huge * e), huge, round(huge * e), 1.0, eps, cor),
        e91_length(huge, round(huge * e), huge, round(huge * seen), 1.0, eps, cor),
    ):
        assert found.bits / huge == pytest.approx(share, abs=1e-4)
        assert found.bits / huge < share
    assert bell_diagonal_key(werner(1 - 1.5 * e)).bb84 == pytest.approx(share)
    assert bell_diagonal_key(werner(least_key_fidelity(1.0))).bb84 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("e91", [False, True])
def test_phase_errors_of_the_key_stay_below_their_bound(e91: bool) -> None:
    """With eps_sec = 0.9 the tails sum to (0.9 / 4)^2 = 5.1 %: of 2,000 blocks at most 153 may be above the bound (five
    standard deviations above 101), and without its margins a third is."""
    rng = np.random.Generator(np.random.Philox(3))
    n_key, n_test, e, eps, fails, bare = 2_000, 1_000, 0.04, 0.9, 0, 0
    for _ in range(2_000):
        in_key, in_test = int(rng.binomial(n_key, e)), int(rng.binomial(n_test, e))
        if e91:
            seen = int(rng.binomial(n_test - in_test, FLIP) + rng.binomial(in_test, 1 - FLIP))
            bound = e91_length(n_key, in_key, n_test, seen, 1.0, eps, eps).phase_error
            estimate = (seen / n_test - FLIP) / (1 - 2 * FLIP)
        else:
            bound = bbm92_length(n_key, in_key, n_test, in_test, 1.0, eps, eps).phase_error
            estimate = in_test / n_test
        fails += in_key / n_key > bound
        bare += in_key / n_key > estimate
    assert fails <= 153
    assert bare > 667


def test_s_is_above_its_least_value_as_often_as_it_says() -> None:
    """Chance 2 %: in 1,000 blocks at most 40 (5 standard deviations above 20)."""
    rng = np.random.Generator(np.random.Philox(4))
    w, n = 0.9, 500
    equal = (1 - w / sqrt(2)) / 2
    below = 0
    for _ in range(1_000):
        tests = [(n, int(rng.binomial(n, equal))) for _ in range(3)] + [(n, int(rng.binomial(n, 1 - equal)))]
        below += 2 * sqrt(2) * w < chsh_of_counts(tests, 0.02).least
    assert below <= 40


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(0, 50), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_every_pair_is_counted_once(state: list[float], pairs: int, seed: int) -> None:
    of = Settings((Setting(0.0, 0.3), Setting(1.0, 0.7)), (Setting(0.5, 0.2), Setting(-0.5, 0.3), Setting(2.0, 0.5)))
    states = np.tile(state, (pairs, 1)) / 3
    counts = measured(of, states, 1.0, np.random.Generator(np.random.Philox(seed)))
    assert len(counts) == of.counts
    assert sum(counts[::2]) == pairs
    assert all(0 <= m <= n for n, m in zip(counts[::2], counts[1::2], strict=True))
