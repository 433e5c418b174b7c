"""Stabilizer tableaus: many qubits, exact splitting, conversion from matrices, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quoit.engine.states import density as dm
from quoit.engine.states import stabilizer
from quoit.engine.states.refusal import Unsupported

pytest.importorskip("stim", reason="stim is not installed: pip install quoit[stim]")

Z, X = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)


def scrambled(count: int, rng: np.random.Generator) -> stabilizer.Tableau:
    """A random circuit on |0...0>."""
    found = stabilizer.Tableau()
    found.add(count)
    for _ in range(12 * count):
        q = int(rng.integers(count))
        found.gate(("h", "s", "x")[int(rng.integers(3))], [q])
        if count > 1:
            a, b = rng.permutation(count)[:2]
            found.gate("cx", [int(a), int(b)])
    return found


def test_ghz_has_the_right_generators() -> None:
    assert stabilizer.ghz(3).stabilizers() == ("+XXX", "+Z_Z", "+_ZZ")


@pytest.mark.parametrize("seed", range(20))
def test_matrix_and_back(seed: int) -> None:
    """A pure stabilizer state is drawn with certainty, and has the matrix it came from."""
    rng = np.random.default_rng(seed)
    state = scrambled(1 + seed % 6, rng)
    rho = state.matrix()
    assert np.trace(rho @ rho).real == pytest.approx(1, abs=1e-12)
    assert stabilizer.from_density(rho, rng).stabilizers() == state.stabilizers()


def test_a_mixture_is_drawn_by_its_weights() -> None:
    """Two pairs and a maximally mixed qubit: the mean of 1500 draws. Pauli expectations are means of +-1
    over 1500 draws: 0.17 is 6.5 sigma, below 1e-9 for each of 1024 by Hoeffding's bound 2 exp(-n 0.17^2/2)."""
    rng = np.random.default_rng(3)
    rho = np.kron(np.kron(dm.from_bell((0.5, 0.2, 0.2, 0.1)), dm.from_bell((0.1, 0.1, 0.1, 0.7))), np.eye(2) / 2)
    mean = sum(stabilizer.from_density(rho, rng).matrix() for _ in range(1500)) / 1500
    assert np.abs(stabilizer._expectations(np.asarray(mean)) - stabilizer._expectations(rho)).max() < 0.17


@pytest.mark.parametrize(
    "vector",
    [
        [0, 1, 1, 0, 1, 0, 0, 0],  # W
        [1, np.exp(0.25j * np.pi)],  # T|+>
        [np.cos(0.3), 0, 0, np.sin(0.3)],
    ],
)
def test_what_no_tableau_can_hold(vector: list[complex]) -> None:
    with pytest.raises(Unsupported, match="no mixture of stabilizer states"):
        stabilizer.from_density(dm.from_vector(vector), np.random.default_rng(1))


@pytest.mark.parametrize("seed", range(10))
def test_factors_are_the_finest(seed: int) -> None:
    """Scrambled parts joined, then their qubits interleaved: the parts' matrices say whether they are the finest."""
    rng = np.random.default_rng(seed)
    whole = stabilizer.Tableau()
    for size in (2, 1, 3):
        whole.join(scrambled(size, rng))
    order = rng.permutation(6)
    whole._columns = [whole._columns[int(q)] for q in order]
    rho = whole.matrix()
    parts = whole.factors()
    assert sorted(q for part in parts for q in part) == list(range(6))
    for part in parts:
        reduced = dm.partial_trace(rho, part)
        assert np.trace(reduced @ reduced).real == pytest.approx(1)  # pure: a factor
        assert np.allclose(whole.extract(part).matrix(), reduced)
        for size in range(1, len(part)):
            for smaller in itertools.combinations(range(len(part)), size):
                inner = dm.partial_trace(reduced, smaller)
                assert np.trace(inner @ inner).real < 1 - 1e-9  # none of its parts is one


def test_columns_are_used_again() -> None:
    rng = np.random.default_rng(1)
    state = stabilizer.ghz(3)
    for _ in range(50):
        state.measure(1, Z, 1.0, rng)
        state.add()
    assert state._sim.num_qubits == 3


def test_a_join_keeps_free_columns_apart() -> None:
    rng = np.random.default_rng(1)
    one, other = stabilizer.ghz(3), stabilizer.ghz(4)
    one.measure(0, X, 1.0, rng)
    other.measure(2, X, 1.0, rng)
    expected = np.kron(one.matrix(), other.matrix())
    one.join(other)
    assert np.allclose(one.matrix(), expected)
    one.add(2)
    assert np.allclose(one.matrix(), np.kron(expected, np.diag([1, 0, 0, 0])))


@pytest.mark.parametrize(("prepared", "axis"), [("", 2), ("h", 0), ("sqrt_x_dag", 1)])
def test_the_opposite_direction_gives_the_opposite_bit(prepared: str, axis: int) -> None:
    """|0>, |+> and |+i> are sure of their own observable, and of its negative."""
    for sign, expected in ((1.0, 0), (-1.0, 1)):
        state = stabilizer.Tableau()
        state.add()
        state.gate(prepared, [0])
        direction = tuple(sign * float(k == axis) for k in range(3))
        for seed in range(4):
            assert state.copy().measure(0, direction, 1.0, np.random.default_rng(seed)) == expected


def test_other_directions_are_refused_and_change_nothing() -> None:
    state = stabilizer.ghz(3)
    with pytest.raises(Unsupported, match="along X, Y or Z"):
        state.measure(0, (0.6, 0.0, 0.8), 1.0, np.random.default_rng(1))
    assert state.stabilizers() == stabilizer.ghz(3).stabilizers()


def test_large_matrices_are_refused() -> None:
    with pytest.raises(Unsupported, match="at most 8 qubits"):
        stabilizer.ghz(9).matrix()


def test_the_same_seed_gives_the_same_outcomes() -> None:
    runs = []
    for _ in range(2):
        rng, state = np.random.default_rng(8), stabilizer.ghz(40)
        bits = []
        for _ in range(40):
            state.depolarise([0], 0.8, rng)
            bits.append(state.measure(0, X, 0.9, rng))
        runs.append(bits)
    assert runs[0] == runs[1]
