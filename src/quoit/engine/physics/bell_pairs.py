"""Algebra of Bell-diagonal pairs: Pauli noise, swapping, distillation, fusion, teleportation, CHSH, key.

A pair is four probabilities in the order (Phi+, Phi-, Psi+, Psi-), which is Phi+ hit by I, Z, X, Y. Errors of joined
pairs add as bits do, so composing is a convolution over XOR of the index. Fidelity is <Phi+|rho|Phi+>, not its root.

Sources: Bennett et al., PRL 76, 722 (1996), doi:10.1103/PhysRevLett.76.722 (BBPSSW); Deutsch et al., PRL 77, 2818
(1996), doi:10.1103/PhysRevLett.77.2818 (DEJMPS); Duer, Briegel, Cirac, Zoller, PRA 59, 169 (1999),
doi:10.1103/PhysRevA.59.169 (imperfect operations); Horodecki, Horodecki, Horodecki, Phys. Lett. A 200, 340 (1995),
doi:10.1016/0375-9601(95)00214-N (CHSH) and PRA 60, 1888 (1999), doi:10.1103/PhysRevA.60.1888 (teleportation).

Imperfect operations: a two-qubit gate is ideal with probability p2 and else leaves both its qubits white; a qubit's
readout is right with probability eta_m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, prod, sqrt
from typing import NamedTuple

from quoit.engine.physics.bb84 import bb84_fraction

CLASSICAL_CHSH = 2.0
TSIRELSON = 2 * sqrt(2)
"""Largest CHSH value of quantum mechanics."""


class BellDiagonal(NamedTuple):
    """Probabilities of the four Bell states; they sum to 1."""

    phi_plus: float
    phi_minus: float
    psi_plus: float
    psi_minus: float


class PauliProbabilities(NamedTuple):
    """Probabilities of Pauli errors in the usual order, which is not the order of `BellDiagonal`."""

    identity: float
    x: float
    y: float
    z: float


Pair = Sequence[float]
"""A Bell-diagonal pair as four plain numbers, `BellDiagonal` or not."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """Probability that the results agree and the pair is kept, and fidelity of what is kept."""

    p_success: float
    fidelity: float


@dataclass(frozen=True, slots=True)
class DistilledPair:
    """Probability that the results agree and the pair is kept, and the kept pair."""

    p_success: float
    pair: BellDiagonal


def werner(F: float) -> BellDiagonal:
    """Phi+ in white noise, with fidelity F: what any pair of that fidelity can be twirled to.

    ValueError unless 0 <= F <= 1.
    """
    if not 0 <= F <= 1:
        raise ValueError(f"a fidelity must be within [0, 1], found {F}")
    rest = (1 - F) / 3
    return BellDiagonal(F, rest, rest, rest)


def _xor_convolution(a: Pair, b: Pair) -> BellDiagonal:
    return BellDiagonal(*(sum(a[i] * b[i ^ k] for i in range(4)) for k in range(4)))


def bell_diag_pauli(lam: Pair, pa: Sequence[float], pb: Sequence[float] | None = None) -> BellDiagonal:
    """The pair after Pauli errors `pa` at one end and `pb` at the other, each (I, X, Y, Z); no `pb`, no error."""
    for errors in (pa, pb):
        if errors is not None:
            i, x, y, z = errors
            lam = _xor_convolution(lam, (i, z, x, y))
    return BellDiagonal(*lam)


def depolarised(l: Pair, white: float) -> BellDiagonal:
    """The pair of which the share `white` is replaced by white noise."""
    return BellDiagonal(*((1 - white) * share + white / 4 for share in l))


def swap(a: Pair, b: Pair) -> BellDiagonal:
    """The outer pair after an ideal Bell measurement of the inner halves, its result corrected or tracked."""
    return _xor_convolution(a, b)


def swap_noisy(a: Pair, b: Pair, p2: float, eta_m: float) -> BellDiagonal:
    """Swap by CNOT, Hadamard and two readouts with imperfect gate and readouts."""
    right, wrong = eta_m, 1 - eta_m
    # A wrong bit of the control's readout is a phase flip, one of the target's a bit flip of the outer pair.
    misread = (right * right, wrong * right, right * wrong, wrong * wrong)
    return depolarised(_xor_convolution(_xor_convolution(a, b), misread), 1 - p2)


def swap_noisy_fidelity(F1: float, F2: float, p2: float, eta_m: float) -> float:
    """Fidelity when two Werner pairs are swapped with imperfect operations."""
    return swap_noisy(werner(F1), werner(F2), p2, eta_m).phi_plus


def swap_noise(p2: float, eta_m: float) -> float:
    """Factor on a pair's eigenvalues at an imperfect swap, p2 (4 eta_m^2 - 1)/3 as in `swap_noisy`; 0 if less.

    Exact for Werner pairs, and for a node that turns each Bell measurement's axes at random, so that misread bits hit
    all alike. Below 0 it would be order again.
    """
    return max(0.0, p2 * (4 * eta_m * eta_m - 1) / 3)


def swap_chain_fidelity(F: float, L: int, p1: float, p2: float, eta_m: float) -> float:
    """Fidelity over L Werner pairs of fidelity F in a row, joined by L-1 imperfect swaps; any order of swapping.

    `p1`: probability that a one-qubit gate is ideal and does not leave its qubit white; two such gates a swap.
    """
    swap_factor = p1 * p1 * p2 * (4 * eta_m * eta_m - 1) / 3
    return float((1 + 3 * swap_factor ** (L - 1) * ((4 * F - 1) / 3) ** L) / 4)


def linear_optics_bsm(eta_det: float) -> float:
    """Success probability of a Bell measurement of two photons by a beam splitter: half of Bell states, both seen."""
    return eta_det * eta_det / 2


def bbpssw(F1: float, F2: float | None = None) -> Distilled:
    """Two Werner pairs to one by CNOT at both ends and equal readouts; without F2 both have F1.

    What is kept is not a Werner pair: `dejmps` keeps track of its shape.
    """
    F2 = F1 if F2 is None else F2
    g1, g2 = (1 - F1) / 3, (1 - F2) / 3
    p = (F1 + g1) * (F2 + g2) + 4 * g1 * g2
    return Distilled(p, (F1 * F2 + g1 * g2) / p)


def bbpssw_noisy(F: float, p2: float, eta_m: float) -> Distilled:
    """BBPSSW of two Werner pairs of fidelity F with imperfect CNOTs and readouts (Duer et al. 1999).

    It need not help: compare with F before you spend a pair.
    """
    g, e = (1 - F) / 3, eta_m
    both_right_or_wrong, one_wrong = e * e + (1 - e) ** 2, 2 * e * (1 - e)
    ideal = p2 * p2
    same, different = F * F + 2 * F * g + 5 * g * g, 4 * (F * g + g * g)
    kept = ideal * (same * both_right_or_wrong + different * one_wrong) + (1 - ideal) / 2
    good = ideal * ((F * F + g * g) * both_right_or_wrong + (F * g + g * g) * one_wrong) + (1 - ideal) / 8
    return Distilled(kept, good / kept)


def dejmps(a: Pair, b: Pair) -> DistilledPair:
    """Two pairs to one: Rx(+90 degrees) at one end, Rx(-90) at the other, then CNOTs, kept if readouts agree.

    `a` is the pair that stays. ValueError when the readouts can never agree.
    """
    return dejmps_noisy(a, b, 1.0, 1.0)


def dejmps_noisy(a: Pair, b: Pair, p2: float, eta_m: float) -> DistilledPair:
    """DEJMPS with imperfect CNOTs and readouts; the rotations are ideal."""
    # The rotations exchange Phi- and Psi-.
    A, D, C, B = a
    A2, D2, C2, B2 = b
    same = (A * A2 + B * B2, A * B2 + B * A2, C * C2 + D * D2, C * D2 + D * C2)
    different = (A * C2 + B * D2, A * D2 + B * C2, C * A2 + D * B2, C * B2 + D * A2)
    right = eta_m * eta_m + (1 - eta_m) ** 2
    ideal = p2 * p2
    kept = [ideal * (right * s + (1 - right) * d) + (1 - ideal) / 8 for s, d in zip(same, different, strict=True)]
    p = sum(kept)
    if p <= 0:
        raise ValueError(f"the readouts of {tuple(a)} and {tuple(b)} never agree: no pair is kept")
    return DistilledPair(p, BellDiagonal(*(k / p for k in kept)))


def ghz_fusion_fidelity(edges: Sequence[Pair]) -> float:
    """Fidelity of the GHZ state of n+1 qubits that a centre fuses from n pairs it shares with the others.

    Ideal CNOT, Z readout and X correction at the centre. A star graph state is the same up to local Cliffords.
    """
    return (prod(e[0] + e[1] for e in edges) + prod(e[0] - e[1] for e in edges)) / 2


def teleport_mean_fidelity(F: float) -> float:
    """Fidelity of teleportation over a pair of fidelity F, mean over pure qubits; without entanglement 2/3."""
    return (2 * F + 1) / 3


@dataclass(frozen=True, slots=True)
class RemoteGate:
    """Process fidelity of a two-qubit gate, and its fidelity averaged over pure inputs."""

    process: float
    average: float


def remote_gate(F: float) -> RemoteGate:
    """CNOT or CZ between nodes over a pair of fidelity F.

    An upper bound for real nodes: local gates and readouts are ideal here.
    """
    return RemoteGate(F, (4 * F + 1) / 5)


def chsh(l: Pair) -> float:
    """Largest CHSH value S over all measurements; above 2 the pair violates the inequality."""
    xx = l[0] - l[1] + l[2] - l[3]
    yy = -l[0] + l[1] + l[2] - l[3]
    zz = l[0] + l[1] - l[2] - l[3]
    _, middle, most = sorted((xx * xx, yy * yy, zz * zz))
    return 2 * sqrt(middle + most)


@dataclass(frozen=True, slots=True)
class PairKey:
    """Error rates in the three bases, and secret bits per pair kept in sifting: BB84 and six states, not below 0."""

    error_z: float
    error_x: float
    error_y: float
    bb84: float
    six_state: float


def bell_diagonal_key(l: Pair) -> PairKey:
    """Errors and one-way asymptotic key fractions with ideal error correction (f = 1) and no sifting loss."""
    error_z, error_x, error_y = l[2] + l[3], l[1] + l[3], l[1] + l[2]
    entropy = -sum(share * log2(share) for share in l if share > 0)
    return PairKey(error_z, error_x, error_y, max(0.0, bb84_fraction(error_z, error_x)), max(0.0, 1 - entropy))
