"""The pair machine: the same bits compiled or not, rates and fidelities that theory gives, and nothing used twice."""

from __future__ import annotations

import random
from dataclasses import replace
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.engine.kernels import tables as t
from quoit.engine.kernels.machine import Counts, Delivered, PairMachine, can_compile
from quoit.engine.kernels.pairs import distilled
from quoit.engine.program import Circuit, Decay, Hop, Node, ProgramFault, Purification, Swap, fidelity_of, werner_state

S = 10**9
LIGHT = 100_000
CYCLE = 400_000
P = 0.161235
KEEPS = Decay()


def rng(seed: int = 1):
    return lambda purpose, number: np.random.Generator(np.random.Philox(key=[seed, number * 2 + len(purpose) % 2]))


def chain(hops: int, rule=None, decay: Decay = KEEPS, **how: object) -> Circuit:
    """Equal hops; `rule(i)` gives the swap rule of inner node i."""
    hop = Hop(LIGHT, P, CYCLE, werner_state(0.99))
    rule = rule or (lambda i: Swap())
    nodes = [Node(decay, rule(i) if 0 < i < hops else None) for i in range(hops + 1)]
    return replace(Circuit(tuple(nodes), (hop,) * hops), **how)  # type: ignore[arg-type]


def doubling(i: int) -> Swap:
    reach = i & -i
    return Swap(i - reach, i + reach, wait_ns=2 * reach * LIGHT)


def random_circuit(seed: int) -> Circuit:
    """Anything that a device could execute, with everything in it."""
    dice = random.Random(seed)
    n = dice.randint(1, 6)
    width = dice.randint(1, 3)
    light = [dice.choice([0, 10_000, 77_000]) for _ in range(n)]
    hops = [
        Hop(d, dice.choice([0.03, 0.2, 1.0]), max(d, 20_000), werner_state(dice.uniform(0.7, 1)), restart_ns=d)
        for d in light
    ]
    hops = [replace(hop, asks_ns=dice.choice([0, (hop.cycle_ns - hop.light_ns) // 2])) for hop in hops]
    nodes = []
    for i in range(n + 1):
        swap = Swap(
            wait_ns=dice.choice([0, 0, 5_000]), success=dice.choice([1, 0.5]), noise=dice.choice([1, 0.98]),
            on_demand=dice.random() < 0.3,
        )  # fmt: skip
        decay = dice.choice([Decay(), Decay.t1_t2(1, 0.5), Decay.werner(0.2)])
        nodes.append(Node(decay, swap if 0 < i < n else None, dice.choice([None, 60_000, 300_000])))
    rounds = {1: dice.randint(0, 2)} if width > 1 else {}
    purification = Purification(rounds, dice.choice(["dejmps", "bbpssw"]), dice.uniform(0.9, 1), dice.uniform(0.9, 1))
    return Circuit(tuple(nodes), tuple(hops), width, dice.choice([None, 40]), purification)


def ran(machine: PairMachine, ends: list[int]) -> tuple[list[Delivered], list[Counts]]:
    return [machine.run(end) for end in ends], [machine.counts(c) for c in range(len(machine.circuits))]


@pytest.mark.skipif(not can_compile(), reason="numba is not installed: quoit[fast]")
def test_compiled_code_gives_the_same_bits() -> None:
    circuits = [random_circuit(seed) for seed in range(40)] + [chain(8, doubling, Decay.pauli(1.0)), chain(33)]
    ends = [S // 100, S // 10, S]
    plain, compiled = (ran(PairMachine(circuits, rng(), compiled=way), ends) for way in (False, True))
    assert plain[1] == compiled[1]
    assert sum(len(part) for part in plain[0]) > 5_000
    for one, other in zip(plain[0], compiled[0], strict=True):
        for name in ("circuit", "left_ns", "right_ns", "born_ns", "state"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.skipif(not can_compile(), reason="numba is not installed: quoit[fast]")
def test_functions_are_compiled_after_those_that_they_call() -> None:
    from quoit.engine.kernels import compiled, heap_arrays, pairs

    names = [f.__name__ for f in compiled.in_order([*compiled.own(pairs), *compiled.own(heap_arrays)])]
    assert sorted(names) == sorted({*names})
    for earlier, later in (
        ("at", "attempt"),
        ("attempt", "free_a"),
        ("grown", "swap"),
        ("swap", "run"),
        ("pop", "run"),
    ):
        assert names.index(earlier) < names.index(later)


@pytest.mark.realises("F3")
@pytest.mark.parametrize("hops", [1, 2, 4, 8, 32])
@pytest.mark.parametrize("rule", [None, doubling])
def test_without_decoherence_a_chain_has_the_fidelity_of_its_swaps(hops: int, rule: object) -> None:
    found = PairMachine([chain(hops, rule)], rng(), compiled=False).run(S // 2)
    w = (4 * 0.99 - 1) / 3
    assert len(found) > 10
    assert found.fidelity == pytest.approx((1 + 3 * w**hops) / 4, abs=1e-12)


@pytest.mark.realises("F3")
def test_one_link_delivers_at_its_rate() -> None:
    """False alarm once in 16,000: 4 sigma of the sum of geometric waits."""
    found = PairMachine([chain(1)], rng(), compiled=False).run(20 * S)
    expected = 20 * S / CYCLE * P
    assert abs(len(found) - expected) < 4 * sqrt(expected * (1 - P))


@pytest.mark.realises("F3")
def test_two_links_take_as_long_as_the_slower_one() -> None:
    """Mean of the larger of two geometric waits, and the way of the swap's outcome to the ends. 4 sigma."""
    found = PairMachine([chain(2)], rng(), compiled=False).run(40 * S)
    gaps = np.diff(found.at_ns)
    expected = (3 - 2 * P) / (P * (2 - P)) * CYCLE + LIGHT
    assert abs(gaps.mean() - expected) < 4 * gaps.std() / sqrt(len(gaps))


def test_who_asks_early_begins_early() -> None:
    """With sure attempts: the outcome of the swap comes to the right end a light time later than the middle is free,
    and the right hop's question is on its way by then."""
    hop = Hop(LIGHT, 1.0, CYCLE, werner_state(0.99))
    nodes = (Node(), Node(swap=Swap()), Node())
    gaps = []
    for hops in ((hop, hop), (replace(hop, asks_ns=LIGHT),) * 2, (replace(hop, asks_ns=LIGHT // 2),) * 2):
        found = PairMachine([Circuit(nodes, hops)], rng(), compiled=False).run(S // 10)
        gaps.append(set(np.diff(found.at_ns).tolist()))
    # The left hop's asker is the end, which is free last: it has no head start, and the swap waits for it.
    assert gaps == [{CYCLE + LIGHT}] * 3
    machines = []
    for asks_ns in (0, LIGHT):
        slow = replace(hop, cycle_ns=2 * CYCLE, asks_ns=asks_ns)
        found = PairMachine([Circuit(nodes, (hop, slow))], rng(), compiled=False).run(S // 10)
        machines.append(set(np.diff(found.at_ns).tolist()))
    assert machines == [{2 * CYCLE + LIGHT}, {2 * CYCLE}]


@pytest.mark.realises("F3")
def test_a_cut_off_gives_the_rate_and_the_fidelity_of_the_closed_form() -> None:
    """Two links in step, the first pair waits m cycles at most, both begin anew: renewal theory. Without light's
    delay the machine is that model exactly. 4 sigma."""
    p, m, tau_s, cycle = 0.05, 10, 0.02, 400_000
    r = exp(-cycle / (tau_s * S))
    hop = Hop(0, p, cycle, werner_state(0.95))
    # One qubit waits at the repeater, the other at its end: half the rate each.
    node = Node(Decay.werner(2 * tau_s))
    middle = Node(Decay.werner(2 * tau_s), Swap(), cutoff_ns=m * cycle + 1)
    found = PairMachine([Circuit((node, middle, node), (hop, hop))], rng(), compiled=False).run(200 * S)
    q = 1 - p
    both, later = 1 - q**2, 1 - q**m
    success = p**2 / both + 2 * p * q / both * later
    slots = (1 / both + 2 * q / both * later) / success
    gaps = np.diff(found.at_ns) / cycle
    assert abs(gaps.mean() - slots) < 4 * gaps.std() / sqrt(len(gaps))
    aged = (p**2 / both + 2 * p * q / both * p * r * (1 - (q * r) ** m) / (1 - q * r)) / success
    w = ((4 * 0.95 - 1) / 3) ** 2 * aged
    fidelity = found.fidelity
    assert abs(fidelity.mean() - (1 + 3 * w) / 4) < 4 * fidelity.std() / sqrt(len(fidelity))


@pytest.mark.realises("F3")
@pytest.mark.parametrize(
    ("given_", "werner", "success", "fidelity"),
    [
        # Deutsch et al. 1996 and Bennett et al. 1996, worked out by hand from their tables
        ((0.8, 0.2 / 3, 0.2 / 3, 0.2 / 3), 0, 0.768888889, 0.838150289),
        ((0.7, 0.05, 0.05, 0.2), 0, 0.82, 0.646341463),
        ((0.7, 0.1, 0.1, 0.1), 1, 0.68, 0.735294118),
    ],
)
def test_purification_is_that_of_its_authors(
    given_: tuple[float, ...], werner: int, success: float, fidelity: float
) -> None:
    def row() -> t.PairRow:
        i, z, x, y = given_  # Phi+, Phi-, Psi+, Psi-
        one = t.PairRow()
        one.x, one.y, one.z = i - z + x - y, i - z - x + y, i + z - x - y
        return one

    kept = row()
    assert distilled(kept, row(), werner, 1.0, 1.0) == pytest.approx(success, abs=1e-8)
    assert (1 + kept.x + kept.y + kept.z) / 4 == pytest.approx(fidelity, abs=1e-8)


def check(machine: PairMachine) -> None:
    """E1: every qubit is in one pair, every pair's halves know it, and no row is lost."""
    m = machine._tables
    live = {n: pair for n, pair in enumerate(m.pairs) if pair.serial}
    free, n = set(), m.scalar[t.FREE_PAIRS]
    while n < len(m.pairs):
        assert n not in free
        free.add(n)
        n = m.pairs[n].next_free
    assert free.isdisjoint(live)
    assert len(free) + len(live) == len(m.pairs)
    assert len({pair.serial for pair in live.values()}) == len(live)
    for n, pair in live.items():
        ended = pair.ended_ns >= 0
        held = [
            pair.left != t.NOWHERE and m.slots[pair.left].a == n,
            pair.right != t.NOWHERE and m.slots[pair.right].b == n,
        ]
        assert any(held)
        assert all(held) or ended or t.NOWHERE in (pair.left, pair.right)
        eigenvalues = (pair.x, pair.y, pair.z)
        assert all(abs(e) <= 1 + 1e-12 for e in eigenvalues)
        assert -1e-12 <= fidelity_of(eigenvalues) <= 1 + 1e-12
    for slot in m.slots:
        assert slot.a == t.NOWHERE or live[slot.a].left == slot_number(m, slot)
        assert slot.b == t.NOWHERE or live[slot.b].right == slot_number(m, slot)
        assert not (slot.pending and (slot.a != t.NOWHERE or slot.b != t.NOWHERE))
    for n, here in enumerate(m.positions):
        width = m.circuits[here.circuit].width
        for base, count, side in ((here.ready_a, here.a_count, "a"), (here.ready_b, here.b_count, "b")):
            listed = m.ready[base : base + count]
            assert len(set(listed)) == count <= width
            for s in listed:
                assert getattr(m.slots[s], side) != t.NOWHERE
                assert m.slots[s].left + (side == "b") == n


def slot_number(m: t.Tables, slot: t.SlotRow) -> int:
    return next(i for i, s in enumerate(m.slots) if s is slot)


@pytest.mark.realises("F3")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_e1_e2_a_qubit_is_in_one_pair_and_a_swap_consumes_both(seed: int) -> None:
    machine = PairMachine([random_circuit(seed), random_circuit(seed + 1)], rng(seed), compiled=False)
    for step in range(1, 60):
        machine.run(step * 50_000)
        check(machine)


@pytest.mark.realises("F3")
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_t4_nothing_is_known_before_light_brings_it(seed: int) -> None:
    circuit = random_circuit(seed)
    found = PairMachine([circuit], rng(seed), compiled=False).run(S // 20)
    light = sum(hop.light_ns for hop in circuit.hops)
    whole = found.left_ns - found.born_ns + found.right_ns - found.born_ns
    # The outcome of the last swap, wherever it was made, reaches the two ends in this time together.
    assert (whole >= (light if len(circuit.hops) > 1 else 0)).all()
    assert (np.minimum(found.left_ns, found.right_ns) >= found.born_ns).all()


def test_demand_is_met_and_no_more() -> None:
    machine = PairMachine([chain(4, wanted=7)], rng(), compiled=False)
    assert len(machine.run(S)) == 7
    machine.demand(0, 5)
    assert len(machine.run(2 * S)) == 5
    assert machine.counts(0).delivered == 12


def test_swaps_on_demand_wait_for_it() -> None:
    """Virtual links are ready on either side: what is asked for comes as soon as light allows."""
    rule = lambda i: Swap(on_demand=i == 2)  # noqa: E731
    machine = PairMachine([chain(4, rule, wanted=0)], rng(), compiled=False)
    assert len(machine.run(S)) == 0
    machine.demand(0, 1)
    first = machine.run(2 * S)
    assert len(first) == 1
    machine.demand(0, 1)
    assert len(machine.run(3 * S)) == 1


def test_a_swap_that_always_fails_delivers_nothing_and_stops_nothing() -> None:
    machine = PairMachine([chain(3, lambda i: Swap(success=0.0))], rng(), compiled=False)
    assert len(machine.run(S)) == 0
    counts = machine.counts(0)
    assert counts.swaps == counts.swap_failures > 100
    assert counts.heralds > 100


def test_the_past_is_closed() -> None:
    machine = PairMachine([chain(2)], rng(), compiled=False)
    machine.run(S)
    with pytest.raises(ValueError, match="expected an instant from"):
        machine.run(S - 1)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: replace(c, nodes=c.nodes[:-1]), "one node more than hops"),
        (lambda c: replace(c, width=0), "width of 1 or more"),
        (lambda c: replace(c, hops=(replace(c.hops[0], success=0.0), *c.hops[1:])), "hop 0: expected a success"),
        (lambda c: replace(c, hops=(replace(c.hops[0], cycle_ns=1), *c.hops[1:])), "hop 0: expected a cycle of 100000"),
        (lambda c: replace(c, hops=(replace(c.hops[0], asks_ns=300_001), *c.hops[1:])), "hop 0: expected asks_ns"),
        (lambda c: replace(c, hops=(replace(c.hops[0], state=(1, 1, -1)), *c.hops[1:])), "eigenvalues of no state"),
        (lambda c: replace(c, purification=Purification({1: 1})), "spends a second pair"),
        (lambda c: replace(c, nodes=(Node(), Node(), *c.nodes[2:])), "node 1: expected a swap rule"),
    ],
)
def test_what_no_device_could_execute_is_refused(change: object, complaint: str) -> None:
    with pytest.raises(ProgramFault, match=complaint):
        change(chain(2))  # type: ignore[operator]


def test_decay_conventions() -> None:
    with pytest.raises(ProgramFault, match="T2 <= 2 T1"):
        Decay.t1_t2(1, 2.1)
    assert Decay.pauli(1.0).x_hz == pytest.approx(4 / 3)
    assert Decay.t1_t2(2, 1) == Decay(1.0, 1.0, 0.5)
