"""Closed forms of entanglement against density matrices, photons counted one by one, Markov chains and quadrature."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
from numpy.typing import NDArray

from quoit.engine.physics import bell_pairs, binomial, cutoffs, heralding, memories, services

Matrix = NDArray[np.complex128]

I2 = np.eye(2, dtype=complex)
X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1.0 + 0j, -1])
H = (X + Z) / math.sqrt(2)
CNOT = np.eye(4, dtype=complex)[[0, 1, 3, 2]]
PHI_PLUS = np.array([1, 0, 0, 1], dtype=complex) / math.sqrt(2)
PSI_PLUS = np.array([0, 1, 1, 0], dtype=complex) / math.sqrt(2)
# Phi+, Phi-, Psi+, Psi-.
BELL = [PHI_PLUS, np.array([1, 0, 0, -1]) / math.sqrt(2), PSI_PLUS, np.array([0, 1, -1, 0]) / math.sqrt(2)]

LOPSIDED = (0.71, 0.14, 0.1, 0.05)
OTHER = (0.66, 0.04, 0.09, 0.21)


def _mixed(l: Sequence[float]) -> Matrix:
    return sum((share * np.outer(b, b.conj()) for share, b in zip(l, BELL, strict=True)), np.zeros((4, 4), complex))


def _weights(rho: Matrix) -> list[float]:
    """Weights of the four Bell states in a pair that is not normalised."""
    return [float((b.conj() @ rho @ b).real) for b in BELL]


def _on(gate: Matrix, qubits: Sequence[int], n: int) -> Matrix:
    """The gate on some of n qubits, as a matrix on all of them."""
    rest = [q for q in range(n) if q not in qubits]
    full = np.kron(gate, np.eye(2 ** len(rest))).reshape([2] * (2 * n))
    place = np.argsort([*qubits, *rest])
    return full.transpose([*place, *(place + n)]).reshape(2**n, 2**n)


def _gate(rho: Matrix, gate: Matrix, *qubits: int) -> Matrix:
    u = _on(gate, qubits, int(math.log2(len(rho))))
    return u @ rho @ u.conj().T


def _white(rho: Matrix, p_ideal: float, *qubits: int) -> Matrix:
    """With 1 - p_ideal the qubits are replaced by white noise: all their Paulis with equal weight."""
    out = p_ideal * rho
    paulis = list(itertools.product((I2, X, Y, Z), repeat=len(qubits)))
    for letters in paulis:
        pauli = np.eye(1, dtype=complex)
        for letter in letters:
            pauli = np.kron(pauli, letter)
        out = out + (1 - p_ideal) / len(paulis) * _gate(rho, pauli, *qubits)
    return out


def _measured(rho: Matrix, qubit: int, result: int, eta_m: float = 1.0) -> Matrix:
    """What is left, not normalised, when the qubit's imperfect readout says `result`; the qubit itself stays."""
    right = np.diag([1.0 - result, result]).astype(complex)
    effect = np.sqrt(eta_m * right + (1 - eta_m) * (np.eye(2) - right))
    return _gate(rho, effect, qubit)


def _kept(rho: Matrix, *qubits: int) -> Matrix:
    """Partial trace over all other qubits."""
    n = int(math.log2(len(rho)))
    rest = [q for q in range(n) if q not in qubits]
    order = [*qubits, *rest]
    tensor = rho.reshape([2] * (2 * n)).transpose([*order, *(q + n for q in order)])
    block = tensor.reshape(2 ** len(qubits), 2 ** len(rest), 2 ** len(qubits), 2 ** len(rest))
    return np.einsum("ikjk->ij", block)


@pytest.mark.parametrize(("p2", "eta_m"), [(1.0, 1.0), (0.96, 0.98), (0.8, 0.7), (0.0, 1.0)])
def test_swap_by_density_matrices(p2: float, eta_m: float) -> None:
    """Bell measurement of qubits 1 and 2, corrected at qubit 3."""
    out = np.zeros((4, 4), complex)
    joint = np.kron(_mixed(LOPSIDED), _mixed(OTHER))
    joint = _gate(_white(_gate(joint, CNOT, 1, 2), p2, 1, 2), H, 1)
    for phase, flip in itertools.product((0, 1), repeat=2):
        left = _measured(_measured(joint, 1, phase, eta_m), 2, flip, eta_m)
        left = _gate(left, X if flip else I2, 3)
        out += _kept(_gate(left, Z if phase else I2, 3), 0, 3)
    found = bell_pairs.swap_noisy(LOPSIDED, OTHER, p2, eta_m)
    assert np.allclose(out, _mixed(found), atol=1e-12)
    if p2 == eta_m == 1:
        assert found == pytest.approx(bell_pairs.swap(LOPSIDED, OTHER))


def test_a_chain_is_one_swap_after_another() -> None:
    F, p2, eta_m = 0.93, 0.97, 0.985
    at = F
    for pairs in range(2, 7):
        at = bell_pairs.swap_noisy_fidelity(at, F, p2, eta_m)
        assert bell_pairs.swap_chain_fidelity(F, pairs, 1.0, p2, eta_m) == pytest.approx(at, rel=1e-12)


def test_one_qubit_gates_of_a_swap_count_twice() -> None:
    """A pair that passes two one-qubit gates, each white with 1 - p1, loses p1^2 of its Werner weight."""
    p1, F = 0.95, 0.9
    rho = _white(_white(_mixed(bell_pairs.werner(F)), p1, 0), p1, 1)
    with_gates = bell_pairs.swap(_weights(rho), bell_pairs.werner(F)).phi_plus
    assert bell_pairs.swap_chain_fidelity(F, 2, p1, 1.0, 1.0) == pytest.approx(with_gates, rel=1e-12)


def _distil(a: Sequence[float], b: Sequence[float], p2: float, eta_m: float, rotate: bool) -> list[float]:
    """Weights of the kept pair on qubits 0 and 1 after CNOTs onto 2 and 3 with equal readouts; not normalised."""
    joint = np.kron(_mixed(a), _mixed(b))
    if rotate:
        for qubit, sign in ((0, 1), (2, 1), (1, -1), (3, -1)):
            joint = _gate(joint, (I2 - 1j * sign * X) / math.sqrt(2), qubit)
    for control, target in ((0, 2), (1, 3)):
        joint = _white(_gate(joint, CNOT, control, target), p2, control, target)
    left = sum(_kept(_measured(_measured(joint, 2, r, eta_m), 3, r, eta_m), 0, 1) for r in (0, 1))
    return _weights(np.asarray(left))


@pytest.mark.parametrize(("F1", "F2"), [(0.7, 0.7), (0.95, 0.6), (0.5, 0.3)])
def test_bbpssw_by_density_matrices(F1: float, F2: float) -> None:
    kept = _distil(bell_pairs.werner(F1), bell_pairs.werner(F2), 1.0, 1.0, rotate=False)
    found = bell_pairs.bbpssw(F1, F2)
    assert found.p_success == pytest.approx(sum(kept), rel=1e-12)
    assert found.fidelity == pytest.approx(kept[0] / sum(kept), rel=1e-12)


@pytest.mark.parametrize(("F", "p2", "eta_m"), [(0.8, 0.98, 0.99), (0.86, 0.937, 0.995), (0.6, 0.5, 0.8), (0.9, 0, 1)])
def test_imperfect_bbpssw_by_density_matrices(F: float, p2: float, eta_m: float) -> None:
    kept = _distil(bell_pairs.werner(F), bell_pairs.werner(F), p2, eta_m, rotate=False)
    found = bell_pairs.bbpssw_noisy(F, p2, eta_m)
    assert found.p_success == pytest.approx(sum(kept), rel=1e-12)
    assert found.fidelity == pytest.approx(kept[0] / sum(kept), rel=1e-12)


@pytest.mark.parametrize(("p2", "eta_m"), [(1.0, 1.0), (0.97, 0.98), (0.6, 0.75)])
@pytest.mark.parametrize(("a", "b"), [(LOPSIDED, LOPSIDED), (LOPSIDED, OTHER), (OTHER, LOPSIDED)])
def test_dejmps_by_density_matrices(a: Sequence[float], b: Sequence[float], p2: float, eta_m: float) -> None:
    kept = _distil(a, b, p2, eta_m, rotate=True)
    found = bell_pairs.dejmps_noisy(a, b, p2, eta_m)
    assert found.p_success == pytest.approx(sum(kept), rel=1e-12)
    assert list(found.pair) == pytest.approx([k / sum(kept) for k in kept], rel=1e-12)
    if p2 == eta_m == 1:
        assert bell_pairs.dejmps(a, b) == found


def test_pairs_whose_readouts_never_agree_are_not_distilled() -> None:
    with pytest.raises(ValueError, match="never agree"):
        bell_pairs.dejmps((1, 0, 0, 0), (0, 0, 1, 0))


@pytest.mark.parametrize("edges", [[LOPSIDED], [LOPSIDED, OTHER], [LOPSIDED, OTHER, OTHER]])
def test_fusion_by_density_matrices(edges: list[Sequence[float]]) -> None:
    """Qubits 2i are the centre's. It keeps qubit 0 and measures the others after a CNOT from it."""
    joint = np.eye(1, dtype=complex)
    for edge in edges:
        joint = np.kron(joint, _mixed(edge))
    for i in range(1, len(edges)):
        joint = _gate(joint, CNOT, 0, 2 * i)
        left = [_measured(joint, 2 * i, result) for result in (0, 1)]
        joint = left[0] + _gate(left[1], X, 2 * i + 1)
    state = _kept(joint, 0, *range(1, 2 * len(edges), 2))
    ends = state[0, 0] + state[0, -1] + state[-1, 0] + state[-1, -1]
    assert bell_pairs.ghz_fusion_fidelity(edges) == pytest.approx(float(ends.real) / 2, rel=1e-12)


def test_teleportation_of_six_states_by_density_matrices() -> None:
    """The six eigenstates of the Paulis have the mean of all pure states."""
    inputs = [np.array(v, complex) / np.linalg.norm(v) for v in ((1, 0), (0, 1), (1, 1), (1, -1), (1, 1j), (1, -1j))]
    fidelities = []
    for psi in inputs:
        joint = np.kron(np.outer(psi, psi.conj()), _mixed(LOPSIDED))
        joint = _gate(_gate(joint, CNOT, 0, 1), H, 0)
        out = np.zeros((2, 2), complex)
        for phase, flip in itertools.product((0, 1), repeat=2):
            left = _gate(_measured(_measured(joint, 0, phase), 1, flip), X if flip else I2, 2)
            out += _kept(_gate(left, Z if phase else I2, 2), 2)
        fidelities.append(float((psi.conj() @ out @ psi).real))
    assert bell_pairs.teleport_mean_fidelity(LOPSIDED[0]) == pytest.approx(float(np.mean(fidelities)), rel=1e-12)


def _remote_cnot(joint: Matrix, control: int, near: int, far: int, target: int) -> Matrix:
    """CNOT over the pair of `near` and `far`: two readouts, two bits, two corrections."""
    joint = _gate(joint, CNOT, control, near)
    left = [_measured(joint, near, result) for result in (0, 1)]
    joint = _gate(_gate(left[0] + _gate(left[1], X, far), CNOT, far, target), H, far)
    left = [_measured(joint, far, result) for result in (0, 1)]
    return left[0] + _gate(left[1], Z, control)


def test_remote_cnot_by_its_choi_state() -> None:
    """Qubits: reference, control; pair; target, reference."""
    joint = np.kron(np.kron(_mixed((1, 0, 0, 0)), _mixed(LOPSIDED)), _mixed((1, 0, 0, 0)))
    choi = _kept(_remote_cnot(joint, 1, 2, 3, 4), 0, 1, 4, 5)
    wanted = _on(CNOT, (1, 2), 4) @ np.kron(PHI_PLUS, PHI_PLUS)
    process = float((wanted.conj() @ choi @ wanted).real)
    assert bell_pairs.remote_gate(LOPSIDED[0]).process == pytest.approx(process, rel=1e-12)


def test_remote_cnot_by_its_mean_over_inputs() -> None:
    """The 20 states of five mutually unbiased bases of two qubits have the mean of all pure states."""
    fidelities = []
    for p, q in (("ZI", "IZ"), ("XI", "IX"), ("YI", "IY"), ("XY", "YZ"), ("YX", "ZY")):
        letters = {"I": I2, "X": X, "Y": Y, "Z": Z}
        both = [np.kron(letters[word[0]], letters[word[1]]) for word in (p, q)]
        for psi in np.linalg.eigh(both[0] + 2 * both[1])[1].T:
            # Control and target, then the pair.
            joint = _remote_cnot(np.kron(np.outer(psi, psi.conj()), _mixed(LOPSIDED)), 0, 2, 3, 1)
            wanted = CNOT @ psi
            fidelities.append(float((wanted.conj() @ _kept(joint, 0, 1) @ wanted).real))
    assert len(fidelities) == 20
    assert bell_pairs.remote_gate(LOPSIDED[0]).average == pytest.approx(float(np.mean(fidelities)), rel=1e-12)


@pytest.mark.parametrize("l", [LOPSIDED, OTHER, (0.9, 0.1, 0, 0), (0.1, 0.2, 0.3, 0.4), (0, 0, 0, 1)])
def test_chsh_by_the_correlation_matrix(l: Sequence[float]) -> None:
    """Horodecki: S is 2 sqrt of the two largest eigenvalues of T^t T."""
    rho = _mixed(l)
    t = np.array([[np.trace(rho @ np.kron(p, q)).real for q in (X, Y, Z)] for p in (X, Y, Z)])
    eigenvalues = np.sort(np.linalg.eigvalsh(t.T @ t))
    assert bell_pairs.chsh(l) == pytest.approx(2 * math.sqrt(eigenvalues[1] + eigenvalues[2]), rel=1e-12)


def test_chsh_by_searching_for_measurements() -> None:
    """No angles do better, and some do as well."""
    rho = _mixed(LOPSIDED)

    def direction(theta: float, phi: float) -> Matrix:
        return math.sin(theta) * (math.cos(phi) * X + math.sin(phi) * Y) + math.cos(theta) * Z

    def minus_s(angles: NDArray[np.float64]) -> float:
        a, a2, b, b2 = (direction(*angles[i : i + 2]) for i in range(0, 8, 2))
        return -float(np.trace(rho @ (np.kron(a, b + b2) + np.kron(a2, b - b2))).real)

    starts = np.random.default_rng(7).uniform(0, 2 * math.pi, (12, 8))
    best = max(-scipy.optimize.minimize(minus_s, start).fun for start in starts)
    assert bell_pairs.chsh(LOPSIDED) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("l", [LOPSIDED, OTHER, (0.97, 0.01, 0.015, 0.005)])
def test_errors_and_key_by_density_matrices(l: Sequence[float]) -> None:
    rho, found = _mixed(l), bell_pairs.bell_diagonal_key(l)
    # Phi+ has equal results in Z and X and opposite ones in Y.
    for pauli, sign, error in ((Z, 1, found.error_z), (X, 1, found.error_x), (Y, -1, found.error_y)):
        agreement = sign * np.trace(rho @ np.kron(pauli, pauli)).real
        assert error == pytest.approx((1 - agreement) / 2, rel=1e-12)
    spectrum = np.linalg.eigvalsh(rho)
    entropy = -sum(s * math.log2(s) for s in spectrum if s > 1e-15)
    assert found.six_state == pytest.approx(max(0.0, 1 - entropy), rel=1e-9)
    h = [scipy.stats.entropy([e, 1 - e], base=2) for e in (found.error_z, found.error_x)]
    assert found.bb84 == pytest.approx(max(0.0, 1 - sum(h)), rel=1e-9)


def _waiting(t: float, t1: float, t2: float) -> list[Matrix]:
    """Kraus operators: relaxation to |0>, then the dephasing that T2 asks for beyond it."""
    lost = 1 - math.exp(-t / t1)
    further = math.exp(-t / t2) / math.sqrt(1 - lost)
    relax = [np.diag([1, math.sqrt(1 - lost)]).astype(complex), math.sqrt(lost) * np.array([[0, 1], [0, 0]], complex)]
    dephase = [math.sqrt((1 + further) / 2) * I2, math.sqrt((1 - further) / 2) * Z]
    return [d @ r for d in dephase for r in relax]


@pytest.mark.parametrize("bell", ["phi", "psi"])
@pytest.mark.parametrize(("t", "t1a", "t2a", "t1b", "t2b"), [(0.01, 0.1, 0.05, 0.2, 0.03), (0.5, 0.4, 0.8, 3.0, 0.7)])
def test_relaxing_pairs_by_kraus_operators(bell: str, t: float, t1a: float, t2a: float, t1b: float, t2b: float) -> None:
    for state in (BELL[0], BELL[1]) if bell == "phi" else (BELL[2], BELL[3]):
        rho = np.outer(state, state.conj())
        out = sum(
            np.kron(a, b) @ rho @ np.kron(a, b).conj().T for a in _waiting(t, t1a, t2a) for b in _waiting(t, t1b, t2b)
        )
        fidelity = float((state.conj() @ out @ state).real)
        assert memories.t1t2_bell_fidelity(t, t1a, t2a, t1b, t2b, bell) == pytest.approx(fidelity, rel=1e-12)


@pytest.mark.parametrize(("t", "t1", "t2"), [(0.01, 0.1, 0.05), (1.0, 0.5, 1.0), (0.2, 5.0, 0.1)])
def test_twirl_is_the_pauli_part_of_the_kraus_operators(t: float, t1: float, t2: float) -> None:
    kraus = _waiting(t, t1, t2)
    expected = [sum(abs(np.trace(p @ k)) ** 2 for k in kraus) / 4 for p in (I2, X, Y, Z)]
    assert list(memories.pauli_twirl(t, t1, t2)) == pytest.approx(expected, abs=1e-15)


def test_pauli_errors_at_both_ends_by_density_matrices() -> None:
    pa, pb = (0.9, 0.05, 0.02, 0.03), (0.8, 0.04, 0.09, 0.07)
    out = np.zeros((4, 4), complex)
    for (share_a, a), (share_b, b) in itertools.product(
        zip(pa, (I2, X, Y, Z), strict=True), zip(pb, (I2, X, Y, Z), strict=True)
    ):
        out += share_a * share_b * _gate(_gate(_mixed(LOPSIDED), a, 0), b, 1)
    assert np.allclose(out, _mixed(bell_pairs.bell_diag_pauli(LOPSIDED, pa, pb)), atol=1e-14)
    one_end = sum(s * _gate(_mixed(LOPSIDED), a, 0) for s, a in zip(pa, (I2, X, Y, Z), strict=True))
    assert np.allclose(one_end, _mixed(bell_pairs.bell_diag_pauli(LOPSIDED, pa)), atol=1e-14)


def test_attempts_dephase_a_waiting_memory() -> None:
    """Coherence of a qubit in a pair falls to 1/e; populations do not move."""
    errors = memories.decay_per_attempt(1800, 1800)
    pair = bell_pairs.bell_diag_pauli((1, 0, 0, 0), errors)
    rho = _mixed(pair)
    assert rho[0, 3].real == pytest.approx(math.exp(-1) / 2)
    assert rho[0, 0].real == pytest.approx(0.5)


# A photon is a tuple of what tells it apart; a state of light, a sorted tuple of photons. Amplitudes multiply when
# photons are created one after the other, and n equal photons have the norm sqrt(n!).
Photon = tuple[str | int, ...]
Emission = dict[Photon, complex]


def _created(emissions: Sequence[Emission]) -> dict[tuple[Photon, ...], complex]:
    light: dict[tuple[Photon, ...], complex] = defaultdict(complex)
    for choice in itertools.product(*(e.items() for e in emissions)):
        photons = tuple(sorted((photon for photon, _ in choice), key=repr))
        light[photons] += math.prod((amplitude for _, amplitude in choice), start=1 + 0j)
    return {
        photons: amplitude * math.sqrt(math.prod(math.factorial(photons.count(one)) for one in set(photons)))
        for photons, amplitude in light.items()
    }


def _at_the_station(node: str, when: int, eta: float, V: float, phase: float) -> Emission:
    """One photon behind a beam splitter: lost, or at detector 0 or 1, in the shape of A's photons or across it."""
    shapes = {"u": 1.0} if node == "A" else {"u": math.sqrt(V), "v": math.sqrt(1 - V)}
    kick = np.exp(1j * phase) if node == "A" else 1.0
    out: Emission = {("lost", node, when): math.sqrt(1 - eta) * kick}
    for shape, amplitude in shapes.items():
        for detector in (0, 1):
            sign = -1 if node == "B" and detector == 1 else 1
            out[("seen", detector, when, shape)] = kick * sign * amplitude * math.sqrt(eta / 2)
    return out


def _clicks(p_d: float, pnr: bool, photons: int, wanted: bool) -> float:
    """Probability that a detector clicks, or is silent, on so many photons; told two from one, two are refused."""
    if photons == 0:
        return p_d if wanted else 1 - p_d
    return float(wanted and not (pnr and photons > 1))


def _heralded(
    spins: dict[tuple[int, int], tuple[complex, list[Emission]]],
    patterns: list[tuple[dict[tuple[int, int], bool], bool]],
    p_d: float,
    pnr: bool,
) -> Matrix:
    """State of both spins, not normalised, summed over click patterns; a pattern may ask for a phase flip at A.

    A pattern says for each (detector, bin) whether it must click.
    """
    branches: dict[tuple[Photon, ...], Matrix] = defaultdict(lambda: np.zeros(4, complex))
    for (a, b), (amplitude, emissions) in spins.items():
        for light, factor in _created(emissions).items():
            branches[light][2 * a + b] += amplitude * factor
    out = np.zeros((4, 4), complex)
    for light, vector in branches.items():
        state = np.outer(vector, vector.conj())
        for pattern, flip in patterns:
            p = 1.0
            for (detector, when), wanted in pattern.items():
                here = sum(photon[:3] == ("seen", detector, when) for photon in light)
                p *= _clicks(p_d, pnr, here, wanted)
            out += p * (_gate(state, Z, 0) if flip else state)
    return out


ONE_CLICK = [({(0, 0): True, (1, 0): False}, False), ({(0, 0): False, (1, 0): True}, True)]
TWO_CLICKS = [
    ({(d, 0): True, (1 - d, 0): False, (d2, 1): True, (1 - d2, 1): False}, d != d2) for d in (0, 1) for d2 in (0, 1)
]


def _single_click_state(
    alpha: Sequence[float], eta: Sequence[float], p_d: float, V: float, phase: float, pnr: bool
) -> Matrix:
    """Bright is index 0."""
    spins = {}
    for a, b in itertools.product((0, 1), repeat=2):
        amplitude = math.sqrt((1 - alpha[0] if a else alpha[0]) * (1 - alpha[1] if b else alpha[1]))
        emitted = [
            _at_the_station(n, 0, e, V, phase) for n, e, dark in (("A", eta[0], a), ("B", eta[1], b)) if not dark
        ]
        spins[a, b] = (amplitude, emitted)
    return _heralded(spins, ONE_CLICK, p_d, pnr)


@pytest.mark.parametrize("pnr", [False, True])
@pytest.mark.parametrize(
    ("alpha", "eta", "p_d", "V", "sigma", "p_de"),
    [
        ((0.1, 0.1), (0.3, 0.3), 1e-3, 1.0, 0.0, 0.0),
        ((0.3, 0.2), (0.4, 0.6), 0.02, 0.8, 0.4, 0.05),
        ((0.05, 0.7), (1.0, 0.1), 0.0, 0.6, 0.0, 0.1),
        ((0.5, 0.5), (0.0, 0.9), 0.1, 0.9, 0.2, 0.0),
    ],
)
def test_one_click_photon_by_photon(
    alpha: Sequence[float], eta: Sequence[float], p_d: float, V: float, sigma: float, p_de: float, pnr: bool
) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    rho = np.zeros((4, 4), complex)
    for x, w in zip(nodes, weights / weights.sum(), strict=True):
        rho += w * _single_click_state(alpha, eta, p_d, V, sigma * x, pnr)
    # A second photon that was seen elsewhere tells what its spin was.
    for qubit in (0, 1):
        rho = (1 - p_de / 2) * rho + p_de / 2 * _gate(rho, Z, qubit)
    p = float(np.trace(rho).real)
    found = heralding.single_click(*alpha, *eta, p_d, V, sigma, p_de, pnr)
    assert found.p_success == pytest.approx(p, rel=1e-12)
    assert [found.p_bb, found.p_bd, found.p_db, found.p_dd] == pytest.approx(list(np.diag(rho).real / p), abs=1e-14)
    assert found.coherence == pytest.approx(float(rho[1, 2].real) / p, abs=1e-12)
    assert found.fidelity == pytest.approx(float((PSI_PLUS @ rho @ PSI_PLUS).real) / p, rel=1e-12)
    assert found.qber_z == pytest.approx((1 + np.trace(rho @ np.kron(Z, Z)).real / p) / 2, abs=1e-12)
    assert found.qber_x == pytest.approx((1 - np.trace(rho @ np.kron(X, X)).real / p) / 2, abs=1e-12)
    flipped = _weights(_gate(rho, X, 1) / p)
    assert list(found.bell_diagonal()) == pytest.approx(flipped, abs=1e-12)


@pytest.mark.parametrize("pnr", [False, True])
@pytest.mark.parametrize(
    ("eta", "p_d", "V"), [((0.3, 0.3), 1e-3, 1.0), ((0.2, 0.7), 0.03, 0.85), ((0.9, 0.9), 0.0, 0.5)]
)
def test_two_clicks_photon_by_photon(eta: Sequence[float], p_d: float, V: float, pnr: bool) -> None:
    """Spin 0 goes with a photon in the early bin, spin 1 with one in the late bin; any phase between the arms."""
    spins = {
        (a, b): (0.5 + 0j, [_at_the_station("A", a, eta[0], V, 1.1), _at_the_station("B", b, eta[1], V, 0.0)])
        for a, b in itertools.product((0, 1), repeat=2)
    }
    rho = _heralded(spins, TWO_CLICKS, p_d, pnr)
    p = float(np.trace(rho).real)
    found = heralding.double_click(*eta, p_d, V, pnr)
    assert found.p_success == pytest.approx(p, rel=1e-12)
    assert list(found.bell_diagonal) == pytest.approx(_weights(_gate(rho, X, 1) / p), abs=1e-12)
    assert found.fidelity == found.bell_diagonal.phi_plus


def test_nothing_is_heralded_in_the_dark_nor_by_two_photons_told_apart() -> None:
    with pytest.raises(ValueError, match="nothing is heralded"):
        heralding.single_click(0.1, 0.1, 0.0, 0.0)
    with pytest.raises(ValueError, match="nothing is heralded"):
        heralding.double_click(0.0, 0.5)
    with pytest.raises(ValueError, match="nothing is heralded"):
        heralding.single_click(1.0, 1.0, 1.0, 1.0, 0.1, pnr=True)


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (2, 0.1), (7, 0.02), (60, 0.25), (3, 1.0)])
def test_slowest_of_many_links_by_exact_arithmetic(n: int, p: float) -> None:
    """The alternating sum over subsets, in fractions."""
    q = 1 - Fraction(p)
    exact = sum((-1) ** (k + 1) * math.comb(n, k) / (1 - q**k) for k in range(1, n + 1))
    assert heralding.max_geometric_mean(n, p) == pytest.approx(float(exact), rel=1e-10)


def test_quantiles_of_waiting_by_the_geometric_law() -> None:
    found = heralding.geometric_link(2e-4, 1e-5)
    assert found.mean_attempts == pytest.approx(scipy.stats.geom.mean(2e-4))
    assert math.ceil(found.t50_s / 1e-5) == scipy.stats.geom.ppf(0.5, 2e-4)
    assert math.ceil(found.t99_s / 1e-5) == scipy.stats.geom.ppf(0.99, 2e-4)


@pytest.mark.parametrize("eta", [0.05, 0.5, 0.83, 1.0, 1.5, 8.0])
def test_best_clock_of_deterministic_delivery(eta: float) -> None:
    """A pair made at rate eta decays towards 1/4 at rate 1 until the tick; the best tick is searched for."""

    def minus_fidelity(tick: float) -> float:
        alive = scipy.integrate.quad(lambda t: eta * math.exp(-eta * t) * math.exp(-(tick - t)), 0, tick)[0]
        return -(0.25 + 0.75 * alive)

    best = scipy.optimize.minimize_scalar(minus_fidelity, bounds=(1e-3, 60), method="bounded").fun
    assert heralding.deterministic_delivery_f_max(eta) == pytest.approx(-best, rel=1e-6)


@pytest.mark.parametrize(
    ("p", "m", "tau"), [(0.05, 10, 50.0), (0.3, 1, 3.0), (0.2, 0, 5.0), (0.01, 200, 80.0), (1, 3, 2.0)]
)
def test_cut_off_by_a_markov_chain(p: float, m: int, tau: float) -> None:
    """State 0: no pair; state 1+j: one pair that has waited j slots, given up after m."""
    q, F0 = 1 - p, 0.94
    go = np.zeros((m + 1, m + 1))
    go[0, 0] = q * q + (2 * p * q if m == 0 else 0)
    if m > 0:
        go[0, 1] = 2 * p * q
    for j in range(m):
        go[1 + j, 2 + j if j + 1 < m else 0] = q
    visits = np.linalg.inv(np.eye(m + 1) - go)[0]
    done = np.array([p * p, *([p] * m)]) * visits
    waited = np.array([0, *range(1, m + 1)])
    aged = 0.25 + (F0 - 0.25) * np.exp(-waited / tau)
    w = (4 * aged - 1) / 3 * (4 * F0 - 1) / 3
    found = cutoffs.cutoff_parallel(p, m, tau, F0)
    assert done.sum() == pytest.approx(1)
    assert found.mean_slots == pytest.approx(visits.sum(), rel=1e-9)
    # Each cycle ends once: the chain leaves state 0 for a first pair so many times.
    assert found.p_cycle == pytest.approx(1 / (visits[0] * (1 - q * q)), rel=1e-9)
    assert found.waited_fidelity == pytest.approx(float(done @ aged), rel=1e-9)
    assert found.swapped_fidelity == pytest.approx(float(done @ (1 + 3 * w)) / 4, rel=1e-9)


@pytest.mark.parametrize("background", [0.0, 1e-6, 0.01, 1.0, 1e4])
def test_bound_on_the_peak_by_quadrature(background: float) -> None:
    sigma, n = 7e-11, 4000.0
    density = background * n / sigma

    def information(x: float) -> float:
        peak = n * math.exp(-x * x / 2) / math.sqrt(2 * math.pi) / sigma
        return (peak * x / sigma) ** 2 / (peak + density) * sigma

    total = 2 * scipy.integrate.quad(information, 0, 12, limit=400, epsabs=0)[0]
    assert services.time_sync_crlb_s(sigma, n, density) == pytest.approx(1 / math.sqrt(total), rel=1e-8)


def test_two_way_light_finds_offset_and_delay() -> None:
    offset, delay = 3.7e-6, 1.2e-4
    found = services.two_way(1.0, 1.0 + delay + offset, 1.5 + offset, 1.5 + delay)
    assert found.offset_s == pytest.approx(offset, abs=1e-15)
    assert found.delay_s == pytest.approx(delay, abs=1e-15)
    # An adversary's spool of fibre on one way shifts the clock by half of its delay.
    longer = services.two_way(1.0, 1.0 + delay + offset + 2e-7, 1.5 + offset, 1.5 + delay)
    assert longer.offset_s - found.offset_s == pytest.approx(1e-7, abs=1e-15)


@pytest.mark.parametrize(("n", "q"), [(100, 0.03), (64, 0.5), (2000, 0.002), (5, 0.0), (5, 1.0)])
def test_binomial_tails(n: int, q: float) -> None:
    for k in (-1, 0, 1, n // 3, n - 1, n, n + 1):
        assert binomial.mass(n, k, q) == pytest.approx(scipy.stats.binom.pmf(k, n, q), rel=1e-9)
        assert binomial.up_to(n, k, q) == pytest.approx(scipy.stats.binom.cdf(k, n, q), rel=1e-9)
        assert binomial.above(n, k, q) == pytest.approx(scipy.stats.binom.sf(k, n, q), rel=1e-9)


def _qfi(rho: Matrix, generator: Matrix) -> float:
    """Quantum Fisher information of exp(-i G x) at a mixed state, from its eigenvectors."""
    values, vectors = np.linalg.eigh(rho)
    g = vectors.conj().T @ generator @ vectors
    total = 0.0
    for i, j in itertools.product(range(len(values)), repeat=2):
        if values[i] + values[j] > 1e-14:
            total += 2 * (values[i] - values[j]) ** 2 / (values[i] + values[j]) * abs(g[i, j]) ** 2
    return total


@pytest.mark.parametrize(("n", "p"), [(1, 0.1), (3, 0.0), (4, 0.05)])
def test_information_in_dephased_ghz_states(n: int, p: float) -> None:
    ghz = np.zeros(2**n, complex)
    ghz[0] = ghz[-1] = 1 / math.sqrt(2)
    rho = np.outer(ghz, ghz.conj())
    for qubit in range(n):
        rho = (1 - p) * rho + p * _gate(rho, Z, qubit)
    generator = sum((_on(Z / 2, (qubit,), n) for qubit in range(n)), np.zeros((2**n, 2**n), complex))
    assert services.ghz_dephasing_qfi(n, p) == pytest.approx(_qfi(rho, generator), rel=1e-9)


@pytest.mark.parametrize(("n", "eta_a", "eta_b"), [(2, 0.9, 0.9), (3, 1.0, 0.5), (5, 0.7, 0.8)])
def test_information_in_lossy_noon_states(n: int, eta_a: float, eta_b: float) -> None:
    """Modes of up to n photons. Lost photons leave a mixture; the two branches share only the case of no loss."""

    def ket(a: int, b: int) -> Matrix:
        v = np.zeros((n + 1) ** 2, complex)
        v[a * (n + 1) + b] = 1
        return v

    whole = (math.sqrt(eta_a**n) * ket(n, 0) + math.sqrt(eta_b**n) * ket(0, n)) / math.sqrt(2)
    rho = np.outer(whole, whole.conj())
    for left in range(n):
        for eta, state in ((eta_a, ket(left, 0)), (eta_b, ket(0, left))):
            rho += scipy.stats.binom.pmf(left, n, eta) / 2 * np.outer(state, state.conj())
    assert np.trace(rho).real == pytest.approx(1)
    generator = np.diag(np.repeat(np.arange(n + 1.0), n + 1)).astype(complex)
    assert services.noon_loss_qfi(n, eta_a, eta_b) == pytest.approx(_qfi(rho, generator), rel=1e-9)


@pytest.mark.parametrize("entangled", [False, True])
def test_best_time_to_read_a_ramsey_fringe(entangled: bool) -> None:
    """Variance of the frequency for reading after t: fringes of contrast exp(-gamma t), N times faster in a GHZ."""
    n, gamma, total = 6, 0.8, 50.0

    def sigma(t: float) -> float:
        if entangled:
            return math.exp(n * gamma * t) / (n * math.sqrt(t * total))
        return math.exp(gamma * t) / math.sqrt(n * t * total)

    best = scipy.optimize.minimize_scalar(sigma, bounds=(1e-3, 5), method="bounded", options={"xatol": 1e-9})
    found = services.ramsey(n, gamma, total, entangled)
    assert found.t_opt_s == pytest.approx(best.x, rel=1e-5)
    assert found.delta_omega == pytest.approx(best.fun, rel=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: heralding.attempt_time_s("carrier_pigeon", 1.0, 0.0),
        lambda: heralding.geometric_link(0.0, 1.0),
        lambda: heralding.max_geometric_mean(2, 1.1),
        lambda: memories.pauli_twirl(1.0, 1.0, 2.1),
        lambda: memories.pauli_twirl(-1.0, 1.0, 1.0),
        lambda: memories.t1t2_bell_fidelity(1.0, 1.0, 1.0, 1.0, 1.0, "chi"),
        lambda: cutoffs.cutoff_parallel(0.0, 3, 1.0, 0.9),
        lambda: bell_pairs.werner(1.2),
    ],
)
def test_what_is_not_physics_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="found"):
        call()
