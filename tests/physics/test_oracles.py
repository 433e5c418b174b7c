"""Closed forms against other ways to the same number: sums over photons, covariance matrices, SciPy, NetworkX."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
from numpy.typing import NDArray

from quoit.engine.physics import bb84, cv, entangled, mdi, postprocessing, relay


@pytest.mark.parametrize(
    ("mu", "eta", "p_d", "e_d"), [(0.5, 0.1, 1e-6, 0.015), (3.0, 0.6, 1e-3, 0.1), (0.4, 1e-7, 1e-8, 0.02)]
)
def test_two_detectors_by_counting_photons(mu: float, eta: float, p_d: float, e_d: float) -> None:
    """Each photon takes the right detector, the wrong one, or is lost."""
    gain = wrong = 0.0
    for right, bad in itertools.product(range(25), repeat=2):
        mean_right, mean_bad = mu * eta * (1 - e_d), mu * eta * e_d
        p = scipy.stats.poisson.pmf(right, mean_right) * scipy.stats.poisson.pmf(bad, mean_bad)
        click_right, click_bad = (1.0 if right else p_d), (1.0 if bad else p_d)
        both = click_right * click_bad
        gain += p * (click_right + click_bad - both)
        wrong += p * (click_bad - both + both / 2)
    found = bb84.wcp_two_detector(mu, eta, p_d, e_d)
    assert found.gain == pytest.approx(gain, rel=1e-9)
    assert found.error == pytest.approx(wrong / gain, rel=1e-9)


@pytest.mark.parametrize(("lam", "eta_a", "eta_b"), [(0.05, 0.1, 0.2), (0.5, 0.9, 0.7), (0.02, 1e-6, 1e-5)])
def test_gain_of_pair_pulses_by_counting_pairs(lam: float, eta_a: float, eta_b: float) -> None:
    y0a, y0b = 1e-6, 3e-6
    gain = sum(
        (n + 1) * lam**n / (1 + lam) ** (n + 2)
        * -math.expm1(math.log1p(-y0a) + (n * math.log1p(-eta_a)))
        * -math.expm1(math.log1p(-y0b) + (n * math.log1p(-eta_b)))
        for n in range(200)
    )  # fmt: skip
    assert entangled.bbm92_spdc(lam, eta_a, eta_b, y0a, y0b, 0.015).gain == pytest.approx(gain, rel=1e-9)


def test_the_decoy_yield_is_what_linear_programming_finds() -> None:
    """Least single-photon yield that fits the gains at mu and nu with all yields within [0, 1]."""
    mu, nu, eta, y0, photons = 0.5, 0.1, 0.01, 1e-5, 15
    gains = [bb84.ma_clicks(k, eta, y0, 0.015).gain for k in (mu, nu)]
    number = np.arange(photons)
    rows = [scipy.stats.poisson.pmf(number, k) for k in (mu, nu)]
    cost = (number == 1).astype(float)
    # Photons beyond the cut may have any yield: the gains are met up to their probability.
    slack = scipy.stats.poisson.sf(photons - 1, mu)
    best = scipy.optimize.linprog(
        cost,
        A_ub=np.vstack([*rows, *[-r for r in rows]]),
        b_ub=[gains[0], gains[1], -(gains[0] - slack), -(gains[1] - slack)],
        bounds=[(y0, y0)] + [(0, 1)] * (photons - 1),
    )
    found = bb84.decoy_vacuum_weak(mu, nu, eta, y0, 0.015)
    # The closed form lets all pulses of several photons share one yield and so is the relaxed optimum.
    assert found.yield_1 <= best.fun * (1 + 1e-6)
    assert found.yield_1 == pytest.approx(best.fun, rel=0.05)


def test_wrong_coincidences_of_mdi_by_averaging_over_phases() -> None:
    """Both ends send the same polarisation: one coherent state interferes, its partner detectors see darkness."""
    mu_a, mu_b, eta_a, eta_b, p_d = 0.4, 0.25, 0.2, 0.3, 1e-3
    a, b = mu_a * eta_a, mu_b * eta_b
    phase = np.linspace(0, 2 * math.pi, 400, endpoint=False)
    left = (a + b) / 2 + math.sqrt(a * b) * np.cos(phase)
    right = (a + b) / 2 - math.sqrt(a * b) * np.cos(phase)
    silent_left, silent_right = (1 - p_d) * np.exp(-left), (1 - p_d) * np.exp(-right)
    # One of the bright detectors with one of the two dark ones, the other two silent.
    one_bright = (1 - silent_left) * silent_right + (1 - silent_right) * silent_left
    wrong = float(np.mean(one_bright)) * 2 * p_d * (1 - p_d)
    found = mdi.mdi(mu_a, mu_b, eta_a, eta_b, p_d, 0.0)
    # The formula counts both sent bits and divides by all four combinations of bits: half of them are equal.
    assert found.gain * found.error == pytest.approx(wrong / 2, rel=1e-9)


def _entropy(covariance: NDArray[np.float64]) -> float:
    modes = len(covariance) // 2
    form = np.kron(np.eye(modes), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    spectrum = np.sort(np.abs(np.linalg.eigvals(1j * form @ covariance)))[::2]
    x = np.maximum((spectrum - 1) / 2, 1e-300)
    return float(np.sum((x + 1) * np.log2(x + 1) - x * np.log2(x)))


def _beam_splitter(modes: int, i: int, j: int, t: float) -> NDArray[np.float64]:
    s = np.eye(2 * modes)
    for k in (0, 1):
        a, b = 2 * i + k, 2 * j + k
        s[a, a] = s[b, b] = math.sqrt(t)
        s[a, b], s[b, a] = math.sqrt(1 - t), -math.sqrt(1 - t)
    return s


def _pair(v: float) -> NDArray[np.float64]:
    c = math.sqrt(v * v - 1)
    z = np.diag([1.0, -1.0])
    return np.block([[v * np.eye(2), c * z], [c * z, v * np.eye(2)]])


@pytest.mark.parametrize(
    ("v_a", "t", "xi", "eta", "v_el"), [(5.0, 0.5, 0.01, 0.6, 0.1), (18.5, 0.3, 0.005, 0.606, 0.041)]
)
def test_holevo_bound_by_covariance_matrices(v_a: float, t: float, xi: float, eta: float, v_el: float) -> None:
    """Homodyne: the purifications of channel and detector are traced and conditioned on the outcome."""
    shared = _pair(v_a + 1)
    shared[:2, 2:] *= math.sqrt(t)
    shared[2:, :2] *= math.sqrt(t)
    shared[2:, 2:] = t * (v_a + 1 + 1 / t - 1 + xi) * np.eye(2)
    trusted = _pair(1 + v_el / (1 - eta))
    total = np.block([[shared, np.zeros((4, 4))], [np.zeros((4, 4)), trusted]])
    mixed = _beam_splitter(4, 1, 2, eta) @ total @ _beam_splitter(4, 1, 2, eta).T
    rest = [0, 1, 4, 5, 6, 7]
    cross = mixed[np.ix_(rest, [2])]
    conditioned = mixed[np.ix_(rest, rest)] - cross @ cross.T / mixed[2, 2]
    holevo = _entropy(shared) - _entropy(conditioned)
    assert cv.gg02(v_a, t, xi, eta, v_el, 0.95).chi_be == pytest.approx(holevo, rel=1e-7)


@pytest.mark.parametrize(
    ("ell", "rate"), [(400_000, 15.0), (20_000, 5.0), (400_000, 17.0), (400_000, 12.0), (100, 0.0)]
)
def test_stockout_is_the_poisson_tail(ell: float, rate: float) -> None:
    found = relay.stockout_poisson(1, 256, ell, 100.0, rate)
    assert found.p_stockout == pytest.approx(scipy.stats.poisson.sf(found.keys, rate * 100), rel=1e-9)


def test_second_order_leakage_follows_the_binomial_law() -> None:
    """Optimal one-way codes leak the quantile of the log-likelihood of the errors, less half a log n."""
    n, q, eps = 1_000_000, 0.03, 1e-3
    errors = scipy.stats.binom.isf(eps, n, q)
    exact = -errors * math.log2(q) - (n - errors) * math.log2(1 - q)
    assert postprocessing.ec_leak_finite_bits(n, q, eps) == pytest.approx(exact - math.log2(n) / 2, rel=1e-4)


def test_compromise_of_paths_by_removing_nodes() -> None:
    """Sum over all sets of compromised nodes of a graph that cut the source from the sink."""
    hops, p = (1, 2, 3), 0.2
    graph = nx.Graph()
    for path, length in enumerate(hops):
        nx.add_path(graph, ["source", *[(path, i) for i in range(length)], "sink"])
    nodes = [n for n in graph if n not in ("source", "sink")]
    total = 0.0
    for taken in itertools.product((False, True), repeat=len(nodes)):
        bad = [n for n, is_bad in zip(nodes, taken, strict=True) if is_bad]
        left = graph.subgraph(set(graph) - set(bad))
        if not nx.has_path(left, "source", "sink"):
            total += p ** len(bad) * (1 - p) ** (len(nodes) - len(bad))
    assert relay.multipath_compromise(p, hops) == pytest.approx(total)
