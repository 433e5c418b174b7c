"""The table of primitives against QuTiP: circuits of its operators, channels as sums over Paulis, idling as a master
equation that it integrates. None of quoit's formulas is used for the expected side."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np
import pytest
from primitive_cases import Case, acting, anything, assert_same, law, pairs

from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import DensityForm
from quoit.engine.states.memory import MemoryNoise

qt = pytest.importorskip("qutip", reason="QuTiP is not installed: pip install --group oracles")

CASES = acting()
Branches = dict[tuple[int, ...], Any]
"""Unnormalised state of all qubits, by bits read so far; read qubits are traced out at the end."""

PAULI = {"X": qt.sigmax(), "Y": qt.sigmay(), "Z": qt.sigmaz()}
ZERO, ONE = qt.ket2dm(qt.basis(2, 0)), qt.ket2dm(qt.basis(2, 1))


def on(count: int, qubits: Sequence[int], *operators: Any) -> Any:
    """A product of one-qubit operators, identity elsewhere."""
    placed = dict(zip(qubits, operators, strict=True))
    return qt.tensor([placed.get(q, qt.qeye(2)) for q in range(count)])


def controlled(count: int, control: int, target: int, operator: Any) -> Any:
    return on(count, [control], ZERO) + on(count, [control, target], ONE, operator)


def unitary(case: Case, count: int) -> Any:
    name, qubits, angle = case.row.name, case.qubits, case.values.get("angle_rad", 0.0)
    if name == "CNOT":
        return controlled(count, *qubits, qt.sigmax())
    if name == "CZ":
        return controlled(count, *qubits, qt.sigmaz())
    if name == "SWAP":
        a, b = qubits
        back, forth = controlled(count, a, b, qt.sigmax()), controlled(count, b, a, qt.sigmax())
        return back * forth * back
    if name.startswith("R"):
        return on(count, qubits, (-0.5j * angle * PAULI[name[1]]).expm())
    fixed = {
        **PAULI,
        "H": (qt.sigmax() + qt.sigmaz()) / np.sqrt(2),
        "S": qt.Qobj(np.diag([1, 1j])),
        "SDG": qt.Qobj(np.diag([1, -1j])),
        "T": qt.Qobj(np.diag([1, np.exp(0.25j * pi)])),
    }
    return on(count, qubits, fixed[name])


def transform(branches: Branches, operator: Any) -> Branches:
    return {bits: operator * rho * operator.dag() for bits, rho in branches.items()}


def depolarise(branches: Branches, count: int, qubits: Sequence[int], right: float) -> Branches:
    """All Paulis alike, with the probability of a wrong gate."""
    alike = [
        on(count, qubits, *operators)
        for operators in itertools.product([qt.qeye(2), *PAULI.values()], repeat=len(qubits))
    ]
    return {
        bits: right * rho + (1 - right) / len(alike) * sum(p * rho * p.dag() for p in alike)
        for bits, rho in branches.items()
    }


def read(branches: Branches, count: int, qubit: int, observable: Any, readout: float) -> Branches:
    """Projection on the eigenstates, then a bit that is told wrongly now and then."""
    found: Branches = {}
    for bits, rho in branches.items():
        for true, told in itertools.product((0, 1), repeat=2):
            projector = on(count, [qubit], (qt.qeye(2) + (-1) ** true * observable) / 2)
            weight = readout if true == told else 1 - readout
            found[(*bits, told)] = found.get((*bits, told), 0) + weight * projector * rho * projector
    return found


def idle(branches: Branches, count: int, qubit: int, memory: MemoryNoise, elapsed_s: float, attempts: int) -> Branches:
    """Lindblad's equation of relaxation to |0>, pure dephasing, Paulis and depolarisation; then the attempts."""
    t2_s = memory.t2_s if memory.t2_s is not None else 2 * memory.t1_s
    jumps = [(1 / memory.t1_s, qt.sigmap()), (max(0.0, 1 / t2_s - 0.5 / memory.t1_s) / 2, qt.sigmaz())]
    jumps += list(zip(memory.pauli_hz, PAULI.values(), strict=True))
    jumps += [(0.25 / memory.werner_tau_s, pauli) for pauli in PAULI.values()]
    operators = [np.sqrt(rate) * on(count, [qubit], jump) for rate, jump in jumps if rate > 0]
    still = 0 * on(count, [])
    kept = 0.5 + 0.5 * np.exp(-attempts * memory.decay_per_attempt)
    z = on(count, [qubit], qt.sigmaz())
    found = {}
    for bits, rho in branches.items():
        options = {"atol": 1e-13, "rtol": 1e-11, "nsteps": 100_000}
        after = qt.mesolve(still, rho, [0.0, elapsed_s], operators, options=options).states[-1]
        found[bits] = kept * after + (1 - kept) * z * after * z
    return found


def expected(case: Case, start: np.ndarray) -> Any:
    """The law of the case by QuTiP."""
    count, qubits = case.held, case.qubits
    branches: Branches = {(): qt.Qobj(start, dims=[[2] * count] * 2)}
    gone: tuple[int, ...] = ()
    name, device = case.row.name, case.devices[0]
    lost = None
    if case.row.gate is not None:
        branches = transform(branches, unitary(case, count))
        branches = depolarise(branches, count, qubits, device.p1 if len(qubits) == 1 else device.p2)
    elif name == "measure":
        branches, gone = read(branches, count, qubits[0], observable(case.values["basis"]), device.readout), qubits
    elif name == "bell-measure":
        lost, gone = branches[()], qubits
        branches = bell_measure(branches, count, qubits, device)
    elif name.startswith("purify"):
        branches, gone = purify(branches, case), qubits[2:]
    elif name == "fuse":
        branches = transform(branches, controlled(count, *qubits, qt.sigmax()))
        branches, gone = depolarise(branches, count, qubits, device.p2), qubits[1:]
        branches = read(branches, count, qubits[1], qt.sigmaz(), device.readout)
    elif name == "correct" and case.values["pauli"] != "I":
        branches = transform(branches, on(count, qubits, PAULI[case.values["pauli"]]))
    elif name == "move":
        branches = depolarise(branches, count, qubits, device.p2)
    elif name == "wait":
        values = case.values
        branches = idle(branches, count, qubits[0], values["memory"], values["elapsed_ns"] / 1e9, values["attempts"])
    elif name == "discard":
        gone = qubits
    return collected(case, branches, gone, lost)


def observable(basis: Any) -> Any:
    if isinstance(basis, str):
        return PAULI[basis]
    theta, phi = basis
    turn = (-0.5j * phi * qt.sigmaz()).expm() * (-0.5j * theta * qt.sigmay()).expm()
    return turn * qt.sigmaz() * turn.dag()


def bell_measure(branches: Branches, count: int, qubits: tuple[int, ...], device: DeviceNoise) -> Branches:
    a, b = qubits
    branches = depolarise(transform(branches, controlled(count, a, b, qt.sigmax())), count, qubits, device.p2)
    hadamard = on(count, [a], (qt.sigmax() + qt.sigmaz()) / np.sqrt(2))
    branches = depolarise(transform(branches, hadamard), count, [a], device.p1)
    branches = read(branches, count, b, qt.sigmaz(), device.readout)
    return read(branches, count, a, qt.sigmaz(), device.readout)


def purify(branches: Branches, case: Case) -> Branches:
    count, (a, b, a2, b2) = case.held, case.qubits
    for near, spent, device, angle in ((a, a2, case.devices[0], pi / 2), (b, b2, case.devices[1], -pi / 2)):
        if case.row.name == "purify-dejmps":
            turn = (-0.5j * angle * qt.sigmax()).expm()
            branches = transform(branches, on(count, [near, spent], turn, turn))
            for qubit in (near, spent):
                branches = depolarise(branches, count, [qubit], device.p1)
        branches = transform(branches, controlled(count, near, spent, qt.sigmax()))
        branches = depolarise(branches, count, [near, spent], device.p2)
    branches = read(branches, count, a2, qt.sigmaz(), case.devices[0].readout)
    return read(branches, count, b2, qt.sigmaz(), case.devices[1].readout)


def collected(case: Case, branches: Branches, gone: tuple[int, ...], lost: Any) -> Any:
    left = [q for q in range(case.held) if q not in gone]
    trace = functools.partial(_reduced, left=left)
    success = case.devices[0].bell_success
    found = {}
    for bits, rho in branches.items():
        weight = rho.tr().real * (success if lost is not None else 1.0)
        ok = len(set(bits)) <= 1 if case.row.name.startswith("purify") else True
        if weight > 0:
            found[(bits, ok)] = (weight, trace(rho) / rho.tr().real)
    if lost is not None and success < 1:
        found[((), False)] = (1 - success, trace(lost))
    return found


def _reduced(rho: Any, left: list[int]) -> np.ndarray:
    return rho.ptrace(left).full() if left else np.array([[rho.tr()]])


def relaxes(case: Case) -> bool:
    return "memory" in case.values and not case.values["memory"].is_pauli


def is_twirl(case: Case) -> bool:
    """The twirl of a relaxing memory is no master equation; test_memory_noise checks its Pauli channel."""
    return "memory" in case.values and case.values["memory"].twirled


@pytest.mark.parametrize("case", [c for c in CASES if not is_twirl(c)], ids=lambda case: case.name)
def test_matrices_are_as_qutip_says(case: Case) -> None:
    """From a random mixed state of all the qubits, with all errors at once."""
    start = anything(case)
    assert_same(law(case, start), expected(case, start.rho), case.name)


PAIRWISE = [c for c in CASES if c.row.bell is not None and not is_twirl(c) and not relaxes(c)]


@pytest.mark.parametrize("case", PAIRWISE, ids=lambda case: case.name)
def test_pairs_are_as_qutip_says(case: Case) -> None:
    start = pairs(case)
    assert_same(law(case, start), expected(case, start.matrix()), case.name)


@pytest.mark.parametrize("seed", range(6))
def test_concurrence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 1 + seed % 4)) + 1j * rng.normal(size=(4, 1 + seed % 4))
    rho = root @ root.conj().T / np.trace(root @ root.conj().T).real
    # QuTiP takes square roots of eigenvalues, so its own error is that of a root near zero
    assert dm.concurrence(rho) == pytest.approx(qt.concurrence(qt.Qobj(rho, dims=[[2, 2], [2, 2]])), abs=1e-6)


def test_ghz_of_three_noisy_pairs() -> None:
    """Two noisy fusions by the form's own methods and by QuTiP's products, given the same bits."""
    rng = np.random.default_rng(3)
    vectors = [(0.8, 0.1, 0.07, 0.03), (0.9, 0.02, 0.05, 0.03), (0.7, 0.1, 0.1, 0.1)]
    form: Any = DensityForm(dm.from_bell(vectors[0]))
    rho = qt.Qobj(dm.from_bell(vectors[0]), dims=[[2, 2], [2, 2]])
    fuse = next(case for case in CASES if case.row.name == "fuse")
    for vector in vectors[1:]:
        places = (0, form.size)
        joined = form.join(DensityForm(dm.from_bell(vector)))
        one = Case(fuse.row, {}, places, fuse.devices, joined.size)
        rho = qt.tensor(rho, qt.Qobj(dm.from_bell(vector), dims=[[2, 2], [2, 2]]))
        theirs, ours = expected(one, rho.full()), law(one, joined)
        assert_same(ours, theirs, "fuse")
        bit = int(rng.integers(2))
        form = DensityForm(ours[((bit,), True)][1])
        rho = qt.Qobj(theirs[((bit,), True)][1], dims=[[2] * form.size] * 2)
    assert form.size == 4
