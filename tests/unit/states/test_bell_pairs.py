"""Closed forms of Bell-diagonal pairs at numbers worked out elsewhere, and their limits."""

from __future__ import annotations

from math import cos, pi, sin, sqrt

import numpy as np
import pytest

from quoit.engine.states import bell
from quoit.engine.states import density as dm


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (bell.werner(0.9), bell.werner(0.85), (0.77, 0.0766666667, 0.0766666667, 0.0766666667)),
        ((0.7, 0.3, 0, 0), (0.8, 0.2, 0, 0), (0.62, 0.38, 0, 0)),
    ],
)
def test_swap(a: bell.Bell4, b: bell.Bell4, expected: bell.Bell4) -> None:
    assert bell.swap(a, b) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("f1", "f2", "p2", "readout", "expected"),
    [(0.9, 0.85, 0.98, 0.99, 0.746078613), (0.88, 0.88, 0.95, 0.999, 0.75140003)],
)
def test_swap_by_imperfect_devices(f1: float, f2: float, p2: float, readout: float, expected: float) -> None:
    """w' = w1 w2 p2 (4 readout^2 - 1)/3 (doi:10.1103/PhysRevLett.81.5932)."""
    assert bell.swap(bell.werner(f1), bell.werner(f2), p2=p2, readout=readout)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("f1", "f2", "success", "fidelity"), [(0.7, 0.7, 0.68, 0.735294118), (0.8, 0.6, 0.671111111, 0.728476821)]
)
def test_bbpssw(f1: float, f2: float, success: float, fidelity: float) -> None:
    found = bell.bbpssw(bell.werner(f1), bell.werner(f2))
    assert (found.success, found.kept[0]) == pytest.approx((success, fidelity), rel=1e-8)


@pytest.mark.parametrize(
    ("f", "p2", "readout", "success", "fidelity"),
    [(0.8, 0.98, 0.99, 0.74801455, 0.819126364), (0.7, 1, 0.97, 0.659048, 0.721580219)],
)
def test_bbpssw_by_imperfect_devices(f: float, p2: float, readout: float, success: float, fidelity: float) -> None:
    """Both ends alike (doi:10.1103/PhysRevA.59.169)."""
    noise = bell.PurifyNoise(p2=p2**2, agree=readout**2 + (1 - readout) ** 2)
    found = bell.bbpssw(bell.werner(f), bell.werner(f), noise)
    assert (found.success, found.kept[0]) == pytest.approx((success, fidelity), rel=1e-8)


@pytest.mark.parametrize(
    ("pair", "success", "kept"),
    [
        (bell.werner(0.8), 0.768888889, (0.838150289, 0.138728324, 0.0115606936, 0.0115606936)),
        ((0.7, 0.05, 0.05, 0.2), 0.82, (0.646341463, 0.341463415, 0.00609756098, 0.00609756098)),
    ],
)
def test_dejmps(pair: bell.Bell4, success: float, kept: bell.Bell4) -> None:
    found = bell.dejmps(pair, pair)
    assert found.success == pytest.approx(success, rel=1e-8)
    assert found.kept == pytest.approx(kept, rel=1e-7)


def test_a_branch_that_never_happens_is_still_a_state() -> None:
    found = bell.bbpssw((1.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0))
    assert (found.success, found.kept, found.rejected) == (1.0, (1.0, 0.0, 0.0, 0.0), bell.UNIFORM)


@pytest.mark.parametrize("pair", [(0.7, 0.1, 0.15, 0.05), (0.1, 0.1, 0.1, 0.7), (0.25, 0.25, 0.25, 0.25)])
def test_numbers_of_a_pair_are_those_of_its_matrix(pair: bell.Bell4) -> None:
    rho = dm.from_bell(pair)
    paulis = [np.array(m) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]
    assert bell.correlations(pair) == pytest.approx([np.trace(rho @ np.kron(p, p)).real for p in paulis])
    assert bell.concurrence(pair) == pytest.approx(dm.concurrence(rho), abs=1e-9)
    assert [bell.fidelity(pair, k) for k in range(4)] == pytest.approx(
        [dm.fidelity(rho, dm.BELL_STATES[k]) for k in range(4)]
    )
    assert dm.as_bell(rho) == pytest.approx(pair, abs=1e-12)


@pytest.mark.parametrize("basis", [0, 1, 2])
def test_equal_bases_show_the_pair(basis: int) -> None:
    """20 000 pairs; 5 sigma, so a false alarm has probability below 6e-7 for each basis."""
    pair, readout, count = (0.8, 0.08, 0.07, 0.05), 0.95, 20_000
    direction = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)][basis]
    rng = np.random.default_rng(11 + basis)
    bits = [bell.measure_both(pair, (direction, direction), (readout, readout), rng) for _ in range(count)]
    expected = (1 - bell.correlations(pair)[basis] * (2 * readout - 1) ** 2) / 2
    differ = sum(a != b for a, b in bits)
    assert abs(differ - count * expected) <= 5 * sqrt(count * expected * (1 - expected))


def test_chsh_of_a_perfect_pair() -> None:
    """2 sqrt 2; 5 sigma of the sum of four means."""
    rng, count = np.random.default_rng(5), 10_000
    total = 0.0
    for a, b, sign in ((0, pi / 4, 1), (0, -pi / 4, 1), (pi / 2, pi / 4, 1), (pi / 2, -pi / 4, -1)):
        directions = ((sin(a), 0.0, cos(a)), (sin(b), 0.0, cos(b)))
        found = [bell.measure_both((1.0, 0.0, 0.0, 0.0), directions, (1.0, 1.0), rng) for _ in range(count)]
        total += sign * sum(1 - 2 * (x ^ y) for x, y in found) / count
    assert abs(total - 2 * sqrt(2)) <= 5 * sqrt(4 * 0.5 / count)


@pytest.mark.parametrize("vector", [(1, 0, 0), (0.5, 0.5, 0.5, -0.5), (0.4, 0.4, 0.4, 0.4), (float("nan"),) * 4])
def test_what_is_no_vector(vector: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="Phi"):
        bell.bell4(vector)
