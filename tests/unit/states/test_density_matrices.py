"""Density matrices: what is accepted, how they fall into factors, and that measuring leaves a state."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quoit.engine.states import density as dm
from quoit.engine.states.paulis import MATRICES
from quoit.engine.states.refusal import Unsupported

RNG = np.random.default_rng(2)


def mixed(count: int) -> np.ndarray:
    root = RNG.normal(size=(2**count,) * 2) + 1j * RNG.normal(size=(2**count,) * 2)
    rho = root @ root.conj().T
    return np.asarray(rho / np.trace(rho).real)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3) / 3, "shape"),
        (np.ones((2, 4)), "shape"),
        (np.eye(2**9) / 2**9, "1 to 8 qubits"),
        (np.array([[1, 1], [0, 0]]), "Hermitian"),
        (np.array([[1, np.nan], [np.nan, 0]]), "Hermitian"),
        (np.eye(2), "trace 1, found 2"),
        (np.diag([1.5, -0.5]), "eigenvalue, found -0.5"),
    ],
)
def test_what_is_no_state(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dm.density(matrix)


def test_pure_states_need_no_norm() -> None:
    assert np.allclose(dm.from_vector([3, 4j]), [[0.36, -0.48j], [0.48j, 0.64]])


def test_factors_of_products_in_any_order() -> None:
    """Parts of 2, 1, 3 and 1 qubits, shuffled."""
    parts = [mixed(2), mixed(1), mixed(3), mixed(1)]
    rho = parts[0]
    for part in parts[1:]:
        rho = dm.join(rho, part)
    order = [4, 0, 6, 2, 1, 5, 3]
    rho = dm.permute(rho, order)
    groups = [{0, 1}, {2}, {3, 4, 5}, {6}]
    found = dm.factors(rho)
    assert sorted(sorted(order[q] for q in part) for part in found) == sorted(sorted(g) for g in groups)
    for part in found:
        which = [order[q] for q in part]
        start = min(which)
        original = next(p for p, g in zip(parts, groups, strict=True) if set(which) == g)
        assert np.allclose(dm.partial_trace(rho, part), dm.permute(original, [q - start for q in which]))


def test_what_only_three_qubits_share_is_not_torn_apart() -> None:
    """(1 + XXX)/8: any two qubits look independent."""
    xxx = np.kron(np.kron(MATRICES[2], MATRICES[2]), MATRICES[2])
    assert dm.factors((np.eye(8) + xxx) / 8) == [[0, 1, 2]]


def test_eight_qubits_are_the_limit() -> None:
    rho = mixed(4)
    assert dm.qubits(dm.join(rho, rho)) == 8
    with pytest.raises(Unsupported, match="at most 8 qubits"):
        dm.join(rho, mixed(5))


def test_permute_and_apply_agree_with_kronecker_products() -> None:
    rho, u = mixed(3), np.linalg.qr(RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4)))[0]
    for targets in itertools.permutations(range(3), 2):
        rest = ({0, 1, 2} - set(targets)).pop()
        # bring the targets to the front, act there, and bring them back
        order = [*targets, rest]
        expected = np.kron(u, np.eye(2)) @ dm.permute(rho, order) @ np.kron(u, np.eye(2)).conj().T
        assert np.allclose(dm.permute(dm.apply(rho, u, targets), order), expected)


def test_bases() -> None:
    assert dm.direction_of("X") == (1, 0, 0)
    assert dm.direction_of((np.pi / 2, np.pi / 2)) == pytest.approx((0, 1, 0))
    for bad in ("W", "", (np.nan, 0.0), (0.0, np.inf)):
        with pytest.raises(ValueError, match="expected"):
            dm.direction_of(bad)


def test_a_pure_state_measured_in_its_own_basis_is_certain() -> None:
    """Rounding never draws an outcome of probability zero."""
    rng = np.random.default_rng(1)
    for _ in range(200):
        theta, phi = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        direction = dm.direction_of((theta, phi))
        bit, rest = dm.measure(np.kron(dm.from_bloch(direction), mixed(1)), 0, direction, 1.0, rng)
        assert bit == 0
        assert np.trace(rest).real == pytest.approx(1)
