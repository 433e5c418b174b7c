"""Bell-diagonal pairs: probabilities of (Phi+, Phi-, Psi+, Psi-), that is of the Paulis (I, Z, X, Y) on one half.

A pair is a tuple of four floats; all is closed form and exact for Pauli noise. Composition of errors is XOR of their
numbers (`states.paulis`), so channels and swaps are convolutions over the group of two bits.
Noise of gates and readout is that of `DeviceNoise`: a wrong gate leaves its qubits maximally mixed, which for
Bell-diagonal pairs is a uniform error whichever half it hits.
Sources: doi:10.1103/PhysRevLett.76.722 (BBPSSW), doi:10.1103/PhysRevLett.77.2818 (DEJMPS),
doi:10.1103/PhysRevA.59.169 (imperfect gates and readout).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from quoit.engine.states.memory import MemoryNoise

Bell4 = tuple[float, float, float, float]
Direction = tuple[float, float, float]
"""A unit vector on the Bloch sphere (x, y, z): the observable that is measured."""

UNIFORM: Bell4 = (0.25, 0.25, 0.25, 0.25)
"""The maximally mixed pair."""


def bell4(values: Sequence[float]) -> Bell4:
    """The vector, checked: four numbers >= 0 whose sum is 1 within 1e-9. ValueError otherwise."""
    found = tuple(float(v) for v in values)
    if len(found) != 4 or not all(0.0 <= v <= 1.0 for v in found) or abs(sum(found) - 1.0) > 1e-9:
        raise ValueError(f"expected probabilities of Phi+, Phi-, Psi+, Psi- that sum to 1, found {found}")
    return _normal(found[0], found[1], found[2], found[3])


def werner(fidelity: float) -> Bell4:
    """Phi+ with this probability, the three others alike."""
    rest = (1.0 - fidelity) / 3.0
    return bell4((fidelity, rest, rest, rest))


def compose(a: Bell4, b: Bell4) -> Bell4:
    """Distribution of the XOR of two independent errors: swap without correction needed, or channel on a half."""
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    return (
        a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3,
        a0 * b1 + a1 * b0 + a2 * b3 + a3 * b2,
        a0 * b2 + a2 * b0 + a1 * b3 + a3 * b1,
        a0 * b3 + a3 * b0 + a1 * b2 + a2 * b1,
    )


def pauli(pair: Bell4, which: int) -> Bell4:
    """The pair after Pauli number `which` on either half."""
    return pair[which], pair[1 ^ which], pair[2 ^ which], pair[3 ^ which]


def depolarise(pair: Bell4, right: float) -> Bell4:
    """The pair if either half, or both, is left alone with probability `right` and made maximally mixed otherwise."""
    wrong = (1.0 - right) / 4.0
    return right * pair[0] + wrong, right * pair[1] + wrong, right * pair[2] + wrong, right * pair[3] + wrong


def decay(pair: Bell4, noise: MemoryNoise, elapsed_ns: int, attempts: int = 0) -> Bell4:
    """Storage of one half. Exact if `noise.is_pauli`; otherwise its Pauli twirl."""
    return compose(pair, noise.pauli_channel(elapsed_ns, attempts))


def bell_measurement_errors(p1: float, p2: float, readout: float) -> Bell4:
    """Distribution of (found XOR true) of a Bell-state measurement by CNOT, H and two readouts."""
    phase_wrong = (1.0 - p1) / 2.0
    after_h = (1.0 - phase_wrong, phase_wrong, 0.0, 0.0)
    right, wrong = readout, 1.0 - readout
    misread = (right * right, right * wrong, wrong * right, wrong * wrong)
    return compose(depolarise((1.0, 0.0, 0.0, 0.0), p2), compose(after_h, misread))


def swap(a: Bell4, b: Bell4, *, p1: float = 1.0, p2: float = 1.0, readout: float = 1.0) -> Bell4:
    """The far halves after the near ones met in a Bell-state measurement, corrected by the Pauli it reports.

    Whatever the outcome, each has probability 1/4. Werner parameters multiply:
    w' = w_a w_b p2 (4 readout^2 - 1)/3 for p1 = 1 (doi:10.1103/PhysRevLett.81.5932).
    """
    return compose(compose(a, b), bell_measurement_errors(p1, p2, readout))


class Purified(NamedTuple):
    """`success`: probability that the two readouts agree. `kept`, `rejected`: the kept pair if they do or do not."""

    success: float
    kept: Bell4
    rejected: Bell4


class PurifyNoise(NamedTuple):
    """Products over both ends: `p1` and `p2` that gates of one kind are right at both (p1_a p1_b, p2_a p2_b);
    `agree`: probability that no readout, or both, are wrong (r_a r_b + (1-r_a)(1-r_b))."""

    p1: float = 1.0
    p2: float = 1.0
    agree: float = 1.0


PERFECT = PurifyNoise()


def bbpssw(a: Bell4, b: Bell4, noise: PurifyNoise = PERFECT) -> Purified:
    """Pair `a` kept, `b` sacrificed: bilateral CNOT from a to b, both halves of b read in Z.

    Inputs are not twirled: of Werner pairs this is the published protocol, of others its circuit.
    """
    even, odd = _bilateral_cnot(a, b)
    even, odd = _after_wrong_gates(even, noise.p2), _after_wrong_gates(odd, noise.p2)
    agree, differ = noise.agree, 1.0 - noise.agree
    kept = _mixed(agree, even, differ, odd)
    rejected = _mixed(differ, even, agree, odd)
    return Purified(sum(kept), _normal(*kept), _normal(*rejected))


def dejmps(a: Bell4, b: Bell4, noise: PurifyNoise = PERFECT) -> Purified:
    """As `bbpssw`, after Rx(pi/2) at one end and Rx(-pi/2) at the other, which make Phi- and Psi- change places."""
    turned = [depolarise((v[0], v[3], v[2], v[1]), noise.p1) for v in (a, b)]
    return bbpssw(turned[0], turned[1], noise)


def _bilateral_cnot(a: Bell4, b: Bell4) -> tuple[Bell4, Bell4]:
    """Pair a, unnormalised, where the bit flips of a and b were equal and where they were not."""
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    # a keeps its bit flip and takes b's phase flip; b's parity shows the XOR of the bit flips
    even = (a0 * b0 + a1 * b1, a0 * b1 + a1 * b0, a2 * b2 + a3 * b3, a2 * b3 + a3 * b2)
    odd = (a0 * b2 + a1 * b3, a0 * b3 + a1 * b2, a2 * b0 + a3 * b1, a2 * b1 + a3 * b0)
    return even, odd


def _after_wrong_gates(part: Bell4, right: float) -> Bell4:
    """A wrong CNOT makes all 16 errors of the two pairs alike: 1/8 for each of the four, at either parity."""
    return _mixed(right, part, 1.0 - right, (0.125, 0.125, 0.125, 0.125))


def _mixed(p: float, a: Bell4, q: float, b: Bell4) -> Bell4:
    return p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2], p * a[3] + q * b[3]


def _normal(v0: float, v1: float, v2: float, v3: float) -> Bell4:
    total = v0 + v1 + v2 + v3
    if total <= 0.0:
        return UNIFORM  # of an event that never happens; nobody sees it
    return v0 / total, v1 / total, v2 / total, v3 / total


def correlations(pair: Bell4) -> Direction:
    """Expectations of XX, YY and ZZ. For Phi+: 1, -1, 1."""
    l0, l1, l2, l3 = pair
    return l0 - l1 + l2 - l3, -l0 + l1 + l2 - l3, l0 + l1 - l2 - l3


def fidelity(pair: Bell4, target: int = 0) -> float:
    """Probability of Bell state number `target`."""
    return pair[target]


def concurrence(pair: Bell4) -> float:
    """max(0, 2 max(pair) - 1)."""
    return max(0.0, 2.0 * max(pair) - 1.0)


def measure_half(pair: Bell4, direction: Direction, readout: float, rng: np.random.Generator) -> tuple[int, Direction]:
    """Read one half along `direction`: the bit (0: +1), and the Bloch vector of the other half given that bit."""
    bit = int(rng.random() >= 0.5)
    seen = (1 - 2 * bit) * (2.0 * readout - 1.0)
    tx, ty, tz = correlations(pair)
    nx, ny, nz = direction
    return bit, (seen * tx * nx, seen * ty * ny, seen * tz * nz)


def measure_both(
    pair: Bell4,
    directions: tuple[Direction, Direction],
    readouts: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Read both halves, each along its own direction: the two bits."""
    first, bloch = measure_half(pair, directions[0], readouts[0], rng)
    expected = (2.0 * readouts[1] - 1.0) * sum(r * n for r, n in zip(bloch, directions[1], strict=True))
    return first, int(rng.random() >= (1.0 + expected) / 2.0)
