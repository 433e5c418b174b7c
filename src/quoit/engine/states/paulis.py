"""Paulis as two bits, (bit flip, phase flip): I=00, Z=01, X=10, Y=11. The product of two is their XOR, up to a phase.

The four Bell states are counted alike: number k is Pauli k on one half of Phi+, so the order is Phi+, Phi-, Psi+, Psi-.
Also how each Clifford gate carries a Pauli to its other side, which is all that a Pauli frame needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I, Z, X, Y = 0, 1, 2, 3
LETTERS = "IZXY"
"""Letter of each number."""

Matrix = NDArray[np.complex128]


def _constant(rows: list[list[complex]]) -> Matrix:
    matrix = np.array(rows, dtype=np.complex128)
    matrix.setflags(write=False)
    return matrix


MATRICES: tuple[Matrix, ...] = (
    _constant([[1, 0], [0, 1]]),
    _constant([[1, 0], [0, -1]]),
    _constant([[0, 1], [1, 0]]),
    _constant([[0, -1j], [1j, 0]]),
)

AXES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
"""Bloch direction of the state +1 of each observable."""


def number(pauli: int | str) -> int:
    """0..3 of a number or a letter; ValueError for anything else."""
    if isinstance(pauli, str):
        if len(pauli) != 1 or pauli not in LETTERS:
            raise ValueError(f"expected a Pauli I, X, Y or Z, found {pauli!r}")
        return LETTERS.index(pauli)
    if pauli not in (0, 1, 2, 3):
        raise ValueError(f"expected a Pauli's number 0 to 3 (I, Z, X, Y), found {pauli!r}")
    return int(pauli)


def flips(pauli: int, letter: str) -> bool:
    """Whether the Pauli anticommutes with the observable X, Y or Z."""
    return pauli not in (I, LETTERS.index(letter))


def through_h(pauli: int) -> int:
    """H P H."""
    return (pauli & 1) << 1 | pauli >> 1


def through_s(pauli: int) -> int:
    """S P S^-1, and the same for S^-1: X and Y change places."""
    return pauli ^ pauli >> 1


def through_cnot(control: int, target: int) -> tuple[int, int]:
    """Bit flips spread to the target, phase flips to the control."""
    return control ^ target & 1, target ^ control & 2


def through_cz(a: int, b: int) -> tuple[int, int]:
    """A bit flip at one qubit is a phase flip at the other."""
    return a ^ b >> 1, b ^ a >> 1
