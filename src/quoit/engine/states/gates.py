"""The gates: unitary, what it is for a Bell-diagonal pair and for a tableau, and how it carries a Pauli frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import pi
from types import MappingProxyType

import numpy as np

from quoit.engine.states import paulis
from quoit.engine.states.paulis import MATRICES, Matrix

Frame = tuple[int, ...]
"""One Pauli a qubit."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`unitary(angle_rad)`; `pauli`: its number if the gate is a Pauli; `clifford(angle_rad)`: name of stim's gate, or
    None if there is none ("" for the identity); `frame`: the Paulis after the gate that equal these before it."""

    name: str
    qubits: int
    unitary: Callable[[float], Matrix]
    clifford: Callable[[float], str | None]
    frame: Callable[[Frame], Frame]
    pauli: int | None = None
    turns: bool = False
    """Takes an angle."""


def _fixed(rows: list[list[complex]]) -> Callable[[float], Matrix]:
    matrix = np.array(rows, dtype=np.complex128)
    matrix.setflags(write=False)
    return lambda _: matrix


def _same(frame: Frame) -> Frame:
    return frame


def _rotation(axis: int) -> Callable[[float], Matrix]:
    """exp(-i angle P/2). A node that knows of a Pauli in its way turns by the opposite angle where that mends it, so
    the frame passes unchanged."""
    return lambda angle: np.cos(angle / 2) * MATRICES[0] - 1j * np.sin(angle / 2) * MATRICES[axis]


def _quarter_turns(names: tuple[str, str, str, str]) -> Callable[[float], str | None]:
    def name(angle: float) -> str | None:
        quarters = angle / (pi / 2)
        nearest = round(quarters)
        return names[nearest % 4] if abs(quarters - nearest) < 1e-12 else None

    return name


def _one(name: str, clifford: str | None, unitary: list[list[complex]], frame: Callable[[int], int]) -> Gate:
    pauli = paulis.LETTERS.index(name) if name in paulis.LETTERS else None
    return Gate(name, 1, _fixed(unitary), lambda _: clifford, lambda f: (frame(f[0]),), pauli)


def _unchanged(pauli: int) -> int:
    return pauli


_HALF = 1 / np.sqrt(2)
_ALL = (
    _one("X", "x", [[0, 1], [1, 0]], _unchanged),
    _one("Y", "y", [[0, -1j], [1j, 0]], _unchanged),
    _one("Z", "z", [[1, 0], [0, -1]], _unchanged),
    _one("H", "h", [[_HALF, _HALF], [_HALF, -_HALF]], paulis.through_h),
    _one("S", "s", [[1, 0], [0, 1j]], paulis.through_s),
    _one("SDG", "s_dag", [[1, 0], [0, -1j]], paulis.through_s),
    # T turns by pi/4 about Z: with X or Y in its way the node applies its inverse instead.
    _one("T", None, [[1, 0], [0, np.exp(1j * pi / 4)]], _unchanged),
    Gate("RX", 1, _rotation(paulis.X), _quarter_turns(("", "sqrt_x", "x", "sqrt_x_dag")), _same, turns=True),
    Gate("RY", 1, _rotation(paulis.Y), _quarter_turns(("", "sqrt_y", "y", "sqrt_y_dag")), _same, turns=True),
    Gate("RZ", 1, _rotation(paulis.Z), _quarter_turns(("", "s", "z", "s_dag")), _same, turns=True),
    Gate(
        "CNOT",
        2,
        _fixed([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]),
        lambda _: "cx",
        lambda f: paulis.through_cnot(f[0], f[1]),
    ),
    Gate(
        "CZ",
        2,
        _fixed([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1]]),
        lambda _: "cz",
        lambda f: paulis.through_cz(f[0], f[1]),
    ),
    Gate(
        "SWAP",
        2,
        _fixed([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
        lambda _: "swap",
        lambda f: (f[1], f[0]),
    ),
)

GATES: Mapping[str, Gate] = MappingProxyType({gate.name: gate for gate in _ALL})
"""All gates by name."""
