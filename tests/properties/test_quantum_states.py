"""Laws that hold for every state and every order of operations.

E1 a qubit is in one state, a slot holds one qubit; E2 a swap consumes both pairs; E3 storage never helps, and intervals
add up; E4 local operations raise no entanglement; E5 states are states, and no choice at one end shows at the other;
E7 a GHZ state looks alike to all its parties.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quoit.engine import ledger as books
from quoit.engine.ledger import Ledger, Node
from quoit.engine.primitives import PRIMITIVES
from quoit.engine.states import bell, stabilizer
from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.gates import GATES
from quoit.engine.states.memory import BlochMap, MemoryNoise
from quoit.engine.states.refusal import Unsupported

needs_stim = pytest.mark.skipif(not stabilizer.available(), reason="stim is not installed: pip install quoit[stim]")

angles = st.floats(-4.0, 4.0)
shares = st.floats(0.0, 1.0)
times_ns = st.integers(0, 3_000_000_000)


@st.composite
def vectors(draw: st.DrawFn) -> bell.Bell4:
    weights = draw(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda w: sum(w) > 1e-3))
    total = sum(weights)
    return bell.bell4([w / total for w in weights])


@st.composite
def memories(draw: st.DrawFn) -> MemoryNoise:
    t1_s = draw(st.one_of(st.just(float("inf")), st.floats(0.05, 10.0)))
    t2_s = draw(st.one_of(st.none(), st.floats(0.02, 10.0).map(lambda t: min(t, 2 * t1_s))))
    pauli = draw(st.tuples(*[st.floats(0.0, 5.0)] * 3))
    tau_s = draw(st.one_of(st.just(float("inf")), st.floats(0.05, 10.0)))
    return MemoryNoise(t1_s, t2_s, pauli, tau_s, draw(st.floats(0.0, 0.01)), draw(st.booleans()))


@st.composite
def states(draw: st.DrawFn, count: int = 2) -> np.ndarray:
    """Pure and mixed ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    root = rng.normal(size=(2**count, draw(st.integers(1, 4)))) + 1j * rng.normal(size=(2**count, 1))
    rho = root @ root.conj().T
    return np.asarray(rho / np.trace(rho).real)


def is_state(rho: np.ndarray) -> bool:
    return (
        abs(np.trace(rho) - 1) <= 1e-9
        and np.abs(rho - rho.conj().T).max() <= 1e-9
        and float(np.linalg.eigvalsh(rho)[0]) >= -1e-9
    )


# --- E3 ---


@given(vectors(), memories(), times_ns, times_ns)
def test_e3_storage_of_pairs_adds_up_and_never_helps(
    pair: bell.Bell4, memory: MemoryNoise, first: int, second: int
) -> None:
    together = bell.decay(pair, memory, first + second)
    assert bell.decay(bell.decay(pair, memory, first), memory, second) == pytest.approx(together, abs=1e-9)
    assert bell.decay(pair, memory, 0) == pytest.approx(pair, abs=1e-12)
    # No Bell state is ever more probable than the most probable one was: above 1/2 a fidelity only falls. (Below it may
    # come back: fast dephasing empties Phi+ into Phi-, slower flips refill it from Psi+ and Psi-, up to 1/4.)
    assert max(bell.decay(pair, memory, first)) <= max(pair) + 1e-12
    assert max(together) <= max(bell.decay(pair, memory, first)) + 1e-12


@given(states(), memories(), times_ns, times_ns, st.integers(0, 300), st.integers(0, 300))
def test_e3_storage_of_any_state_adds_up(
    rho: np.ndarray, memory: MemoryNoise, first: int, second: int, tries: int, more: int
) -> None:
    stepwise = dm.bloch_map(dm.bloch_map(rho, 0, memory.bloch_map(first, tries)), 0, memory.bloch_map(second, more))
    together = dm.bloch_map(rho, 0, memory.bloch_map(first + second, tries + more))
    assert np.abs(stepwise - together).max() <= 1e-9
    assert np.abs(dm.bloch_map(rho, 0, memory.bloch_map(0)) - rho).max() <= 1e-12
    assert is_state(together)


@given(memories(), memories(), st.lists(times_ns, min_size=2, max_size=5))
def test_e3_fidelity_of_a_stored_bell_state_never_rises(near: MemoryNoise, far: MemoryNoise, steps: list[int]) -> None:
    """Relaxation included: Phi+ loses with every interval at either end. (A state that is orthogonal to |00> could win
    by relaxing; the target that was made does not.)"""
    made = Ledger(np.random.default_rng(1), {"a": Node(near), "b": Node(far)})
    made.herald([("a", 0), ("b", 0)], bell.werner(1.0), 0)
    t_ns, before = 0, 1.0
    for step in steps:
        t_ns += step
        now = made.observe(1, t_ns).fidelity()
        assert now <= before + 1e-9 or before <= 0.5
        before = now
        made.wait(("a", 0), t_ns)


@given(memories(), times_ns)
def test_e3_a_memory_is_a_channel(memory: MemoryNoise, elapsed: int) -> None:
    """Completely positive: its Choi matrix, one half of a Bell state sent through, is a state."""
    assert is_state(dm.bloch_map(dm.from_bell((1.0, 0.0, 0.0, 0.0)), 1, memory.bloch_map(elapsed, 3)))


# --- E4 ---

Local = Callable[[np.ndarray], np.ndarray]


@st.composite
def local_operations(draw: st.DrawFn) -> Local:
    """Something done to one qubit of a pair without keeping an outcome."""
    qubit = draw(st.integers(0, 1))
    kind = draw(st.sampled_from(["gate", "noise", "wrong"]))
    if kind == "gate":
        gate = GATES[draw(st.sampled_from([name for name, gate in GATES.items() if gate.qubits == 1]))]
        unitary = gate.unitary(draw(angles))
        return lambda rho: dm.apply(rho, unitary, [qubit])
    if kind == "noise":
        law = draw(memories()).bloch_map(draw(times_ns), draw(st.integers(0, 300)))
        return lambda rho: dm.bloch_map(rho, qubit, law)
    right = draw(shares)
    return lambda rho: dm.depolarise(rho, [qubit], right)


@given(st.one_of(states(), vectors().map(dm.from_bell)), st.lists(local_operations(), max_size=6))
def test_e4_local_operations_raise_no_concurrence(rho: np.ndarray, operations: list[Local]) -> None:
    found = dm.concurrence(rho)
    for operation in operations:
        rho = operation(rho)
        after = dm.concurrence(rho)
        assert after <= found + 1e-7
        found = after


@given(states(), angles, angles, st.sampled_from(["CNOT", "CZ"]), shares, angles)
def test_e4_reading_an_ancilla_raises_none_on_average(
    rho: np.ndarray, first: float, second: float, gate: str, readout: float, theta: float
) -> None:
    """A qubit is coupled to half a pair and read: a general measurement at one end, as filtering is. A branch may win;
    the mean over outcomes does not."""
    joined = np.kron(rho, np.diag([1.0, 0.0]))
    joined = dm.apply(joined, GATES["RY"].unitary(first), [2])
    joined = dm.apply(joined, GATES[gate].unitary(0.0), [1, 2])
    joined = dm.apply(joined, GATES["RX"].unitary(second), [2])
    mean = 0.0
    for part in dm.branches(joined, 2, dm.direction_of((theta, 0.0)), readout):
        weight = np.trace(part).real
        if weight > 1e-6:
            mean += weight * dm.concurrence(part / weight)
    assert mean <= dm.concurrence(rho) + 1e-6


@given(vectors(), vectors())
def test_e4_a_swap_gives_no_more_than_the_lesser_pair(a: bell.Bell4, b: bell.Bell4) -> None:
    assert bell.concurrence(bell.swap(a, b)) <= min(bell.concurrence(a), bell.concurrence(b)) + 1e-12


@given(vectors(), vectors(), st.sampled_from([bell.bbpssw, bell.dejmps]), shares, shares, st.floats(0.5, 1.0))
def test_e4_purification_gains_only_by_spending(
    a: bell.Bell4, b: bell.Bell4, law: Callable[..., bell.Purified], p1: float, p2: float, agree: float
) -> None:
    """The mean over outcomes is at most the entanglement of both pairs together, and useless pairs make none."""
    found = law(a, b, bell.PurifyNoise(p1, p2, agree))
    mean = found.success * bell.concurrence(found.kept) + (1 - found.success) * bell.concurrence(found.rejected)
    assert mean <= bell.concurrence(a) + bell.concurrence(b) + 1e-9
    if max(*a, *b) <= 0.5:
        assert mean <= 1e-9
    for kept in (found.kept, found.rejected):
        assert min(kept) >= 0
        assert sum(kept) == pytest.approx(1, abs=1e-9)


# --- E5 ---

BASES = st.one_of(st.sampled_from(["X", "Y", "Z"]), st.tuples(angles, angles))


@given(states(3), BASES, BASES, st.integers(0, 2), shares)
def test_e5_no_choice_at_one_end_shows_at_the_others(
    rho: np.ndarray, one: Any, other: Any, qubit: int, readout: float
) -> None:
    """The others' state, averaged over outcomes that they do not know, is the same whatever is measured, or nothing."""
    rest = dm.partial_trace(rho, [q for q in range(3) if q != qubit])
    for basis in (one, other):
        parts = dm.branches(rho, qubit, dm.direction_of(basis), readout)
        assert np.abs(parts[0] + parts[1] - rest).max() <= 1e-12
        assert np.trace(parts[0] + parts[1]).real == pytest.approx(1, abs=1e-9)


@given(states(4), vectors())
def test_e5_a_swap_shows_nothing_to_who_has_not_heard_of_it(rho: np.ndarray, errors: bell.Bell4) -> None:
    parts = dm.bell_branches(rho, 1, 2, errors)
    assert np.abs(sum(parts) - dm.partial_trace(rho, [0, 3])).max() <= 1e-12
    for part in parts:
        assert np.linalg.eigvalsh(part)[0] >= -1e-9


@given(vectors(), BASES, BASES)
def test_e5_both_ends_see_fair_coins(pair: bell.Bell4, one: Any, other: Any) -> None:
    """Of a Bell-diagonal pair each end alone sees 0 and 1 alike, in any basis, whatever the other one chose."""
    rho = dm.from_bell(pair)
    for basis in (one, other):
        parts = dm.branches(rho, 0, dm.direction_of(basis))
        assert [np.trace(part).real for part in parts] == pytest.approx([0.5, 0.5])
        seen = [sum(np.trace(dm.branches(part, 0, dm.direction_of(far))[0]).real for part in parts) for far in "XYZ"]
        assert seen == pytest.approx([0.5] * 3)


# --- E7 ---


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 5), st.floats(0.5, 1.0), st.data())
def test_e7_a_ghz_state_looks_alike_to_all(count: int, fidelity: float, data: st.DataObject) -> None:
    """Fused from equal pairs by perfect devices, then depolarised alike: every permutation of the parties gives the
    same state, so the same statistics in any bases."""
    ghz = np.zeros(2**count)
    ghz[0] = ghz[-1] = np.sqrt(0.5)
    rho = np.outer(ghz, ghz).astype(complex)
    memory = data.draw(memories())
    elapsed = data.draw(times_ns)
    for qubit in range(count):
        rho = dm.bloch_map(dm.depolarise(rho, [qubit], fidelity), qubit, memory.bloch_map(elapsed))
    order = data.draw(st.permutations(range(count)))
    assert np.abs(dm.permute(rho, order) - rho).max() <= 1e-12
    bases = data.draw(st.lists(BASES, min_size=count, max_size=count))
    assert joint(rho, bases) == pytest.approx(joint(dm.permute(rho, order), bases), abs=1e-12)


def joint(rho: np.ndarray, bases: list[Any]) -> list[float]:
    """Probabilities of all bit strings."""
    parts = [rho]
    for basis in bases:
        parts = [half for part in parts for half in dm.branches(part, 0, dm.direction_of(basis))]
    return [float(part[0, 0].real) for part in parts]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_e7_a_fused_state_is_alike_to_its_ends_in_whatever_order_it_is_read(order: tuple[int, ...]) -> None:
    """Three perfect pairs fused at a centre whose own qubit is read in X: of the ends' readings only the parity in X
    and equality in Z are fixed."""
    for basis in "XZ":
        made = Ledger(np.random.default_rng(sum(order[k] * 3**k for k in range(3))))
        for k in range(3):
            made.herald([("c", k), (f"n{k}", 0)], bell.werner(1.0), 0)
        for k in (1, 2):
            if made.fuse(("c", 0), ("c", k), k).bits[0]:
                made.correct((f"n{k}", 0), "X", k)
        if made.measure(("c", 0), 3, "X").bits[0]:
            made.correct(("n0", 0), "Z", 4)
        bits = [made.measure((f"n{k}", 0), 5, basis).bits[0] for k in order]
        assert sum(bits) % 2 == 0 if basis == "X" else len(set(bits)) == 1


# --- E1, E2 and E5 in every order of operations ---

SLOTS = [(node, index) for node in "abc" for index in range(3)]
NODES = {
    "a": Node(MemoryNoise.total_pauli(2.0), DeviceNoise(0.99, 0.97, 0.98, 0.7, 1, 2, 3, 4)),
    "b": Node(MemoryNoise.relaxation(3.0, 2.0), DeviceNoise(p2=0.95)),
    "c": Node(MemoryNoise(t1_s=5.0, twirled=True, decay_per_attempt=0.01), DeviceNoise(readout=0.9)),
}
ONE_QUBIT = sorted(name for name, row in PRIMITIVES.items() if row.gate is not None and row.gate.qubits == 1)
picked = st.integers(0, 2**16)


class AnyOrder(RuleBasedStateMachine):
    """Random operations of three nodes with three slots each. A model knows which slots should be full."""

    def __init__(self) -> None:
        super().__init__()
        self.made = Ledger(np.random.default_rng(1), NODES)
        self.now = 0
        self.full: set[books.Slot] = set()
        self.gone: set[int] = set()
        self.newest = 0

    def choose(self, which: int, slots: list[books.Slot]) -> books.Slot:
        assume(slots)
        return slots[which % len(slots)]

    def a_full(self, which: int) -> books.Slot:
        return self.choose(which, sorted(self.full))

    def a_free(self, which: int) -> books.Slot:
        return self.choose(which, [slot for slot in SLOTS if slot not in self.full])

    def neighbour(self, slot: books.Slot, which: int) -> books.Slot:
        return self.choose(which, [s for s in sorted(self.full) if s[0] == slot[0] and s != slot])

    def lapse(self) -> int:
        """Operations last up to 9 ns: after 10 all are over."""
        self.now += 10
        return self.now

    def do(self, act: Callable[[], books.Outcome]) -> books.Outcome | None:
        before = set(self.made.states())
        try:
            done = act()
        except Unsupported:  # more than eight qubits at a node that relaxes
            assert set(self.made.states()) == before
            return None
        after = set(self.made.states())
        assert all(state > self.newest for state in after - before)
        self.newest = max([self.newest, *after])
        self.gone |= before - after
        return done

    @rule(one=picked, other=picked, pair=vectors(), attempts=st.integers(0, 50))
    def herald(self, one: int, other: int, pair: bell.Bell4, attempts: int) -> None:
        a, b = self.a_free(one), self.a_free(other)
        assume(a != b)
        assert self.do(lambda: self.made.herald([a, b], pair, self.lapse(), attempts=attempts))
        self.full |= {a, b}

    @rule(which=picked)
    def init(self, which: int) -> None:
        slot = self.a_free(which)
        assert self.do(lambda: self.made.init(slot, self.lapse()))
        self.full.add(slot)

    @precondition(lambda self: self.full)
    @rule(which=picked, name=st.sampled_from(ONE_QUBIT), angle=angles)
    def turn(self, which: int, name: str, angle: float) -> None:
        self.do(lambda: self.made.gate(name, self.a_full(which), self.lapse(), angle_rad=angle))

    @precondition(lambda self: self.full)
    @rule(which=picked, other=picked, name=st.sampled_from(["CNOT", "CZ", "SWAP"]))
    def couple(self, which: int, other: int, name: str) -> None:
        slot = self.a_full(which)
        near = self.neighbour(slot, other)
        self.do(lambda: self.made.gate(name, [slot, near], self.lapse()))

    @precondition(lambda self: self.full)
    @rule(which=picked, basis=BASES)
    def measure(self, which: int, basis: Any) -> None:
        slot = self.a_full(which)
        done = self.do(lambda: self.made.measure(slot, self.lapse(), basis))
        if done is not None:
            assert done.bits in ((0,), (1,))
            self.full.remove(slot)

    @precondition(lambda self: self.full)
    @rule(which=picked, other=picked)
    def swap(self, which: int, other: int) -> None:
        slot = self.a_full(which)
        near = self.neighbour(slot, other)
        ids = {self.made.state_in(slot), self.made.state_in(near)}
        done = self.do(lambda: self.made.bell_measure(slot, near, self.lapse()))
        if done is not None:
            assert ids <= self.gone  # E2: in the same step as their successor came
            self.full -= {slot, near}

    @precondition(lambda self: self.full)
    @rule(which=picked, other=picked)
    def fuse(self, which: int, other: int) -> None:
        slot = self.a_full(which)
        near = self.neighbour(slot, other)
        if self.do(lambda: self.made.fuse(slot, near, self.lapse())) is not None:
            self.full.remove(near)

    @precondition(lambda self: self.full)
    @rule(which=picked, other=picked, method=st.sampled_from(["bbpssw", "dejmps"]))
    def purify(self, which: int, other: int, method: str) -> None:
        """Of any four qubits that are two and two at a node; they need not be pairs."""
        a = self.a_full(which)
        a2 = self.neighbour(a, other)
        rest = [s for s in sorted(self.full) if s[0] != a[0]]
        b = self.choose(other, rest)
        b2 = self.neighbour(b, which)
        if self.do(lambda: self.made.purify((a, b), (a2, b2), self.lapse(), method)) is not None:
            self.full -= {a2, b2}

    @precondition(lambda self: self.full)
    @rule(which=picked, pauli=st.sampled_from("IXYZ"))
    def correct(self, which: int, pauli: str) -> None:
        self.do(lambda: self.made.correct(self.a_full(which), pauli, self.lapse()))

    @precondition(lambda self: self.full)
    @rule(which=picked, to=picked)
    def move(self, which: int, to: int) -> None:
        slot = self.a_full(which)
        free = self.choose(to, [s for s in SLOTS if s[0] == slot[0] and s not in self.full])
        if self.do(lambda: self.made.move(slot, free, self.lapse())) is not None:
            self.full.remove(slot)
            self.full.add(free)

    @precondition(lambda self: self.full)
    @rule(which=picked, elapsed=st.integers(0, 10**9))
    def wait(self, which: int, elapsed: int) -> None:
        self.now += elapsed
        self.do(lambda: self.made.wait(self.a_full(which), self.lapse()))

    @precondition(lambda self: self.full)
    @rule(which=picked)
    def discard(self, which: int) -> None:
        slot = self.a_full(which)
        assert self.do(lambda: self.made.discard(slot, self.lapse()))
        self.full.remove(slot)

    @invariant()
    def e1_each_qubit_is_in_one_state(self) -> None:
        held = [slot for state in self.made.states() for slot in self.made.slots(state)]
        assert len(held) == len(set(held))
        assert set(held) == self.full
        for state in self.made.states():
            assert all(self.made.state_in(slot) == state for slot in self.made.slots(state))
        assert not self.gone & set(self.made.states())

    @invariant()
    def e5_states_are_states(self) -> None:
        for state in self.made.states():
            try:
                seen = self.made.observe(state, self.now + 10)
            except Unsupported:
                continue
            if seen.matrix is not None:
                assert is_state(seen.matrix)
                assert len(seen.slots) == dm.qubits(seen.matrix)
            if seen.bell is not None:
                assert seen.bell == pytest.approx(bell.bell4(seen.bell), abs=1e-9)


AnyOrder.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)
TestAnyOrder = AnyOrder.TestCase


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.integers(0, 2**16))
def test_an_operation_before_the_last_is_always_refused(steps: list[int], seed: int) -> None:
    made = Ledger(np.random.default_rng(seed), NODES)
    made.herald([("a", 0), ("b", 0)], bell.werner(0.9), 0)
    now = reduce(lambda t, step: made.wait(("a", 0), t + step).done_ns, steps, 0)
    assume(now > 0)
    for act in (
        lambda: made.wait(("a", 0), now - 1),
        lambda: made.gate("H", ("a", 0), now - 1),
        lambda: made.measure(("a", 0), now - 1),
        lambda: made.discard(("a", 0), now - 1),
        lambda: made.correct(("a", 0), "X", now - 1),
    ):
        with pytest.raises(books.InThePast):
            act()
    made.wait(("b", 0), 0)


@needs_stim
@settings(max_examples=12, deadline=None)
@given(st.integers(9, 30), st.integers(0, 2**16), st.randoms(use_true_random=False))
def test_e7_a_large_ghz_state_is_alike_to_all(count: int, seed: int, shuffle: Any) -> None:
    made = Ledger(np.random.default_rng(seed))
    for k in range(count):
        made.herald([("c", k), (f"n{k}", 0)], bell.werner(1.0), 0)
    for k in range(1, count):
        if made.fuse(("c", 0), ("c", k), k).bits[0]:
            made.correct((f"n{k}", 0), "X", k)
    slots = [("c", 0), *((f"n{k}", 0) for k in range(count))]
    shuffle.shuffle(slots)
    basis = "XZ"[seed % 2]
    bits = [made.measure(slot, count, basis).bits[0] for slot in slots]
    assert sum(bits) % 2 == 0 if basis == "X" else len(set(bits)) == 1


def test_a_bloch_map_that_is_no_channel_would_be_noticed() -> None:
    """The check of complete positivity can fail: T2 = 3 T1 is no channel."""
    t = 0.1
    broken = BlochMap(np.exp(-t / 3), np.exp(-t / 3), np.exp(-t), 1 - np.exp(-t))
    assert not is_state(dm.bloch_map(dm.from_bell((1.0, 0.0, 0.0, 0.0)), 1, broken))
