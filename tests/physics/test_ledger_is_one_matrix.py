"""The ledger against one matrix of all qubits that is aged at every instant and never split, merged or framed.

Random programs on two nodes of three slots. The ledger ages lazily, keeps pairs as pairs, splits and merges, and notes
corrections in frames; the matrix does none of it. After each step both hold the same state, to 1e-9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from primitive_cases import PAIRS, Case, law

from quoit.engine.ledger import Ledger, Node, Slot
from quoit.engine.primitives import PRIMITIVES, Primitive
from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import DensityForm
from quoit.engine.states.memory import MemoryNoise

PAULI_NODES = {
    "a": Node(MemoryNoise(pauli_hz=(0.5, 1.0, 2.0), decay_per_attempt=0.02), DeviceNoise(0.97, 0.93, 0.95)),
    "b": Node(MemoryNoise.relaxation(0.7, 0.5, twirled=True), DeviceNoise(0.95, 0.96, 0.9, bell_success=0.6)),
}
RELAXING_NODES = {
    "a": Node(MemoryNoise.relaxation(0.8, 0.9), PAULI_NODES["a"].device),
    "b": Node(MemoryNoise(t1_s=0.5, werner_tau_s=2.0, decay_per_attempt=0.03), PAULI_NODES["b"].device),
}
SLOTS = [(node, index) for node in "ab" for index in range(3)]


class OneMatrix:
    """All qubits in one density matrix."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes, self.slots, self.rho, self.now = nodes, [], np.ones((1, 1), dtype=complex), 0

    def age(self, t_ns: int, disturbed: dict[str, int] | None = None) -> None:
        for place, (node, _) in enumerate(self.slots):
            attempts = (disturbed or {}).get(node, 0)
            self.rho = dm.bloch_map(self.rho, place, self.nodes[node].memory.bloch_map(t_ns - self.now, attempts))
        self.now = t_ns

    def add(self, slots: list[Slot], rho: np.ndarray) -> None:
        self.slots += slots
        self.rho = np.kron(self.rho, rho)

    def act(self, row: Primitive, slots: list[Slot], values: dict[str, Any], bits: tuple[int, ...], ok: bool) -> None:
        """The effect, given what the ledger reports; its bits must have been possible."""
        places = tuple(self.slots.index(slot) for slot in slots)
        devices = tuple(self.nodes[node].device for node, _ in slots)
        found = law(Case(row, values, places, devices, len(self.slots)), DensityForm(self.rho))
        weight, self.rho = found[(bits, ok)]
        assert weight > 1e-9
        gone = {
            "measure": slots,
            "bell-measure": slots,
            "discard": slots,
            "fuse": slots[1:],
            "purify-bbpssw": slots[2:],
            "purify-dejmps": slots[2:],
        }.get(row.name, [])
        self.slots = [slot for slot in self.slots if slot not in gone]


def assert_alike(made: Ledger, whole: OneMatrix, step: str) -> None:
    held, rho = [], np.ones((1, 1), dtype=complex)
    for state in made.states():
        seen = made.observe(state, whole.now)
        held += seen.slots
        rho = np.kron(rho, seen.matrix)
    assert set(held) == set(whole.slots), step
    if held:
        ordered = dm.permute(rho, [held.index(slot) for slot in whole.slots])
        assert np.abs(ordered - whole.rho).max() <= 1e-9, step


def choices(rng: np.random.Generator, full: list[Slot], corrections: bool) -> list[tuple[str, list[Slot]]]:
    """What can be done now: (row, slots)."""
    found: list[tuple[str, list[Slot]]] = []
    free = [slot for slot in SLOTS if slot not in full]
    a, b = ([s for s in free if s[0] == node] for node in "ab")
    if a and b:
        found += [("herald", [a[0], b[0]])] * 4
    if free:
        found.append(("init", [free[int(rng.integers(len(free)))]]))
    for slot in full:
        found += [(name, [slot]) for name in ("X", "H", "S", "T", "RY", "measure", "discard", "wait")]
        found += [("correct", [slot])] * (2 if corrections else 0)
        found += [("move", [slot, to]) for to in free if to[0] == slot[0]]
        for other in full:
            if other != slot and other[0] == slot[0]:
                found += [
                    (name, [slot, other]) for name in ("CNOT", "CZ", "SWAP", "bell-measure", "bell-measure", "fuse")
                ]
    ends = [[s for s in full if s[0] == node] for node in "ab"]
    if all(len(end) >= 2 for end in ends):
        near, far = (list(rng.permutation(len(end))[:2]) for end in ends)
        slots = [ends[0][near[0]], ends[1][far[0]], ends[0][near[1]], ends[1][far[1]]]
        paired = sorted(ends[0])[:2], sorted(ends[1])[:2]
        straight = [paired[0][0], paired[1][0], paired[0][1], paired[1][1]]
        found += [(name, which) for name in ("purify-bbpssw", "purify-dejmps") for which in (slots, straight) * 3]
    return found


def perform(made: Ledger, whole: OneMatrix, name: str, slots: list[Slot], rng: np.random.Generator) -> None:
    """The same step on both."""
    t, values = whole.now, {}
    if name == "herald":
        attempts = int(rng.integers(20))
        done = made.herald(slots, PAIRS[int(rng.integers(2))], t, attempts=attempts)
        whole.age(t, dict.fromkeys("ab", attempts))
        return whole.add(slots, made.observe(done.state, t).matrix)
    if name == "init":
        made.init(slots[0], t)
        return whole.add(slots, np.diag([1.0, 0.0]))
    if name == "wait":
        made.wait(slots[0], t)
        return None
    if name == "move":
        made.move(slots[0], slots[1], t)
        whole.act(PRIMITIVES["move"], slots[:1], {}, (), True)
        whole.slots[whole.slots.index(slots[0])] = slots[1]
        return None
    if name == "measure":
        values = {"basis": ["X", "Y", "Z", (0.5, 0.9)][int(rng.integers(4))]}
        done = made.measure(slots[0], t, values["basis"])
    elif name == "correct":
        values = {"pauli": "XYZ"[int(rng.integers(3))]}
        done = made.correct(slots[0], values["pauli"], t)
    elif name == "discard":
        done = made.discard(slots[0], t)
    elif name == "bell-measure":
        done = made.bell_measure(slots[0], slots[1], t)
    elif name == "fuse":
        done = made.fuse(slots[0], slots[1], t)
    elif name.startswith("purify"):
        done = made.purify((slots[0], slots[1]), (slots[2], slots[3]), t, name.removeprefix("purify-"))
    else:
        values = {"angle_rad": float(rng.uniform(-3, 3))} if name == "RY" else {}
        done = made.gate(name, slots, t, angle_rad=values.get("angle_rad", 0.0))
    return whole.act(PRIMITIVES[name], slots, values, done.bits, done.ok)


@pytest.mark.parametrize("relaxing", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed: int, relaxing: bool) -> None:
    """Without relaxation, corrections too: there a frame is the same as the Pauli itself."""
    rng = np.random.default_rng(seed)
    nodes = RELAXING_NODES if relaxing else PAULI_NODES
    made, whole = Ledger(np.random.default_rng(seed + 1000), nodes), OneMatrix(nodes)
    program = []
    for _ in range(30):
        whole.age(whole.now + int(rng.integers(1, 60_000_000)))
        options = choices(rng, whole.slots, corrections=not relaxing)
        name, slots = options[int(rng.integers(len(options)))]
        program.append(f"{name}{slots}")
        perform(made, whole, name, slots, rng)
        assert_alike(made, whole, " ".join(program))
