"""Pauli frames: carried through gates as matrices say, and never more than bookkeeping about what is really there."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from quoit.engine.ledger import Ledger, Node
from quoit.engine.primitives import PRIMITIVES
from quoit.engine.states import bell
from quoit.engine.states.gates import GATES, Gate
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.states.paulis import MATRICES

S = 1_000_000_000
RELAXING = Node(MemoryNoise.relaxation(0.01, 0.01))
CLIFFORD = [gate for gate in GATES.values() if gate.clifford(0.0) and not gate.turns]


def product(frame: tuple[int, ...]) -> np.ndarray:
    return functools.reduce(np.kron, [MATRICES[p] for p in frame])


def carried(unitary: np.ndarray, frame: tuple[int, ...]) -> tuple[int, ...]:
    """The Paulis that U P U^-1 is, up to a phase, found by trying all."""
    moved = unitary @ product(frame) @ unitary.conj().T
    alike = [
        other
        for other in itertools.product(range(4), repeat=len(frame))
        if abs(np.trace(product(other).conj().T @ moved)) > 2 ** len(frame) - 1e-9
    ]
    assert len(alike) == 1
    return alike[0]


@pytest.mark.parametrize("gate", CLIFFORD, ids=lambda gate: gate.name)
def test_clifford_gates_carry_paulis_as_their_matrices_do(gate: Gate) -> None:
    for frame in itertools.product(range(4), repeat=gate.qubits):
        assert gate.frame(frame) == carried(gate.unitary(0.0), frame)


def test_the_frames_of_circuits_are_those_of_their_gates() -> None:
    """Bilateral CNOT of two pairs (a, b, a2, b2); fusion is one CNOT."""
    cnot = GATES["CNOT"].unitary(0.0)
    for frame in itertools.product(range(4), repeat=4):
        a, a2 = carried(cnot, (frame[0], frame[2]))
        b, b2 = carried(cnot, (frame[1], frame[3]))
        for name in ("purify-bbpssw", "purify-dejmps"):
            assert PRIMITIVES[name].frame(frame) == (a, b, a2, b2)
        assert PRIMITIVES["fuse"].frame((frame[0], frame[2])) == (a, a2)


def relaxed(made: Ledger, slots: list[tuple[str, int]], t_ns: int) -> list[int]:
    """Everything decays to |0>; what is read then is the frame's bit flip, of what the qubits carried before."""
    return [made.measure(slot, t_ns + 10 * S).bits[0] for slot in slots]


@pytest.mark.parametrize("gate", CLIFFORD, ids=lambda gate: gate.name)
@pytest.mark.parametrize("turned", [False, True], ids=["flips", "phases"])
def test_the_physical_qubits_are_those_without_the_correction(gate: Gate, turned: bool) -> None:
    """With H behind the gate the phase flips are seen instead of the bit flips."""
    slots = [("a", k) for k in range(gate.qubits)]
    for frame in itertools.product(range(4), repeat=gate.qubits):
        made = Ledger(np.random.default_rng(1), {"a": RELAXING})
        for slot, pauli in zip(slots, frame, strict=True):
            made.init(slot, 0)
            made.correct(slot, pauli, 0)
        made.gate(gate.name, slots, 0)
        if turned:
            for slot in slots:
                made.gate("H", slot, 0)
        shown = [p & 1 if turned else p >> 1 for p in carried(gate.unitary(0.0), frame)]
        assert relaxed(made, slots, 0) == shown


@pytest.mark.parametrize("turned", [False, True], ids=["flips", "phases"])
@pytest.mark.parametrize("method", ["bbpssw", "dejmps"])
def test_purified_qubits_are_those_without_the_correction(method: str, turned: bool) -> None:
    cnot = GATES["CNOT"].unitary(0.0)
    for frame in itertools.product((0, 1, 2), repeat=4):
        made = Ledger(np.random.default_rng(1), {"a": RELAXING, "b": RELAXING})
        slots = [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
        made.herald(slots[:2], bell.werner(0.9), 0)
        made.herald(slots[2:], bell.werner(0.9), 0)
        for slot, pauli in zip(slots, frame, strict=True):
            made.correct(slot, pauli, 0)
        made.purify((slots[0], slots[1]), (slots[2], slots[3]), 0, method)
        if turned:
            for slot in slots[:2]:
                made.gate("H", slot, 0)
        ends = (carried(cnot, (frame[0], frame[2]))[0], carried(cnot, (frame[1], frame[3]))[0])
        assert relaxed(made, slots[:2], 0) == [p & 1 if turned else p >> 1 for p in ends]


def test_a_fused_qubit_is_the_one_without_the_correction() -> None:
    """Phase flips of the qubit that is read pass to the one that stays."""
    for pauli, shown in zip("IZXY", (0, 1, 0, 1), strict=True):
        made = Ledger(np.random.default_rng(1), {"c": RELAXING})
        for k in (0, 1):
            made.herald([("c", k), (f"n{k}", 0)], bell.werner(1.0), 0)
        made.correct(("c", 1), pauli, 0)
        made.fuse(("c", 0), ("c", 1), 0)
        made.gate("H", ("c", 0), 0)
        assert relaxed(made, [("c", 0)], 0) == [shown]


def test_a_moved_qubit_takes_its_frame_along() -> None:
    made = Ledger(np.random.default_rng(1), {"a": RELAXING})
    made.init(("a", 0), 0)
    made.correct(("a", 0), "X", 0)
    made.move(("a", 0), ("a", 1), 0)
    assert relaxed(made, [("a", 1)], 0) == [1]
    made.init(("a", 0), 20 * S)
    assert relaxed(made, [("a", 0)], 20 * S) == [0]  # and the slot keeps none of it
