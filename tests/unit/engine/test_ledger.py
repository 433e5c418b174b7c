"""The ledger of states: names, slots, clocks, frames, formalisms, and everything it refuses."""

from __future__ import annotations

import itertools
import time
from math import exp, pi, sqrt

import numpy as np
import pytest

from quoit.engine import ledger as books
from quoit.engine.ledger import Ledger, Node
from quoit.engine.states import bell, stabilizer
from quoit.engine.states import density as dm
from quoit.engine.states.device import DeviceNoise
from quoit.engine.states.forms import Formalism
from quoit.engine.states.memory import MemoryNoise
from quoit.engine.states.refusal import Unsupported

S = 1_000_000_000
MS = 1_000_000
PAIR = (0.8, 0.1, 0.06, 0.04)
needs_stim = pytest.mark.skipif(not stabilizer.available(), reason="stim is not installed: pip install quoit[stim]")


def ledger(seed: int = 1, **nodes: Node) -> Ledger:
    return Ledger(np.random.default_rng(seed), nodes)


def line(seed: int = 1, **nodes: Node) -> Ledger:
    """Pairs a-r and r-b at instant 0: states 1 and 2."""
    made = ledger(seed, **nodes)
    made.herald([("a", 0), ("r", 0)], PAIR, 0)
    made.herald([("r", 1), ("b", 0)], bell.werner(0.9), 0)
    return made


# --- swap ---


@pytest.mark.parametrize("seed", range(8))
def test_a_swap_consumes_both_pairs_and_makes_a_fresh_one(seed: int) -> None:
    made = line(seed)
    done = made.bell_measure(("r", 0), ("r", 1), 5, expect=(1, 2))
    assert made.states() == (done.state,) == (3,)
    assert made.slots(3) == (("a", 0), ("b", 0))
    assert made.state_in(("r", 0)) is made.state_in(("r", 1)) is None
    for old in (1, 2):
        with pytest.raises(books.StaleState, match=f"state {old} is gone"):
            made.slots(old)
    expected = bell.swap(PAIR, bell.werner(0.9))
    assert made.observe(3, 5).bell == pytest.approx(bell.pauli(expected, done.pauli))
    made.correct(("b", 0), done.pauli, 9)
    seen = made.observe(3, 9)
    assert seen.bell == pytest.approx(expected)
    assert seen.formalism is Formalism.BELL
    assert not seen.physical
    assert done.known == (("r", 5), ("r", 5))


def test_all_outcomes_of_a_swap_occur_alike() -> None:
    """4000 swaps; chi-square of 3 degrees of freedom below 40, false alarm 1e-8."""
    counts = np.zeros(4)
    made = ledger(3)
    for k in range(4000):
        made.herald([("a", 0), ("r", 0)], PAIR, k)
        made.herald([("r", 1), ("b", 0)], PAIR, k)
        counts[made.bell_measure(("r", 0), ("r", 1), k).pauli] += 1
        made.discard(("a", 0), k)
        made.discard(("b", 0), k)
    assert ((counts - 1000) ** 2 / 1000).sum() < 40


def test_a_bell_measurement_without_outcome_loses_both() -> None:
    made = line(r=Node(device=DeviceNoise(bell_success=0.0)))
    done = made.bell_measure(("r", 0), ("r", 1), 5)
    assert not done.ok
    assert done.bits == ()
    assert len(done.states) == 2  # what is left is two qubits that know nothing of each other
    for state in done.states:
        assert np.allclose(made.observe(state, 5).matrix, np.eye(2) / 2)


@pytest.mark.parametrize("success", [0.3, 0.5])
def test_bell_measurements_succeed_as_often_as_said(success: float) -> None:
    """1500 tries, 5 sigma."""
    made, worked = ledger(2, r=Node(device=DeviceNoise(bell_success=success))), 0
    for k in range(1500):
        made.herald([("a", 0), ("r", 0)], PAIR, k)
        made.herald([("r", 1), ("b", 0)], PAIR, k)
        worked += made.bell_measure(("r", 0), ("r", 1), k).ok
        made.discard(("a", 0), k)
        made.discard(("b", 0), k)
    assert abs(worked - 1500 * success) < 5 * sqrt(1500 * success * (1 - success))


# --- names and slots ---


def test_ids_are_never_used_again() -> None:
    made, seen = ledger(), []
    for k in range(20):
        seen.append(made.herald([("a", 0), ("b", 0)], PAIR, k).state)
        seen += made.measure(("a", 0), k).states
        seen += made.measure(("b", 0), k).states
    assert len(seen) == len(set(seen)) == 40
    assert made.states() == ()


def test_a_stale_reference_does_not_meet_another_pair() -> None:
    made = line()
    made.bell_measure(("r", 0), ("r", 1), 1)
    made.herald([("r", 0), ("c", 0)], PAIR, 2)
    with pytest.raises(books.StaleState, match=r"expected state \[1\] in \[\('r', 0\)\], found \[4\]"):
        made.measure(("r", 0), 3, expect=1)
    assert made.state_in(("r", 0)) == 4


def test_ids_stay_while_the_qubits_do() -> None:
    made = ledger(a=Node(MemoryNoise.relaxation(1.0, 1.0)))
    pair = made.herald([("a", 0), ("b", 0)], PAIR, 0).state
    made.wait(("a", 0), S)
    made.gate("H", ("a", 0), S)
    made.correct(("b", 0), "Y", S)
    made.move(("a", 0), ("a", 3), S)
    assert made.states() == (pair,)
    assert made.slots(pair) == (("a", 3), ("b", 0))
    assert made.state_in(("a", 0)) is None


def test_a_slot_holds_one_qubit() -> None:
    made = line()
    for act in (
        lambda: made.herald([("a", 0), ("c", 0)], PAIR, 1),
        lambda: made.init(("a", 0), 1),
        lambda: made.open_attempt([("c", 0), ("a", 0)], 1),
        lambda: made.move(("r", 1), ("r", 0), 1),
    ):
        with pytest.raises(books.SlotTaken, match="holds a qubit of state"):
            act()
    assert made.states() == (1, 2)
    assert made.state_in(("c", 0)) is None


def test_an_empty_slot_can_do_nothing() -> None:
    made = ledger()
    for act in (made.measure, made.discard, made.wait):
        with pytest.raises(books.SlotEmpty, match=r"slot \('a', 0\) holds no qubit"):
            act(("a", 0), 1)


def test_one_slot_is_no_two_qubits() -> None:
    made = line()
    with pytest.raises(books.LedgerError, match="different slots"):
        made.bell_measure(("r", 0), ("r", 0), 1)
    with pytest.raises(books.LedgerError, match="different slots"):
        made.herald([("c", 0), ("c", 0)], PAIR, 1)
    with pytest.raises(books.LedgerError, match="CNOT: expected 2 slots"):
        made.gate("CNOT", [("r", 0)], 1)


def test_distant_qubits_do_not_meet() -> None:
    made = line()
    for act in (
        lambda: made.bell_measure(("a", 0), ("r", 0), 1),
        lambda: made.gate("CZ", [("a", 0), ("b", 0)], 1),
        lambda: made.fuse(("r", 0), ("b", 0), 1),
        lambda: made.purify((("a", 0), ("r", 0)), (("r", 1), ("b", 0)), 1),
        lambda: made.move(("a", 0), ("b", 1), 1),
    ):
        with pytest.raises(books.NotLocal):
            act()
    assert made.states() == (1, 2)


def test_attempts_keep_slots() -> None:
    made = ledger()
    slots = [("a", 0), ("b", 0)]
    first = made.open_attempt(slots, 10)
    with pytest.raises(books.SlotTaken, match=f"kept for attempt {first}"):
        made.herald(slots, PAIR, 11)
    with pytest.raises(books.SlotTaken, match="kept for attempt"):
        made.init(("a", 0), 11)
    with pytest.raises(books.InThePast, match="began at 10 ns"):
        made.herald(slots, PAIR, 9, attempt=first)
    with pytest.raises(books.StaleState, match="keeps other slots"):
        made.herald([("a", 0), ("c", 0)], PAIR, 11, attempt=first)
    made.close_attempt(first, 12)
    second = made.open_attempt(slots, 13)
    with pytest.raises(books.StaleState, match=f"attempt {first} has ended"):
        made.herald(slots, PAIR, 14, attempt=first)
    made.herald(slots, PAIR, 14, attempt=second)
    with pytest.raises(books.StaleState, match=f"attempt {second} has ended"):
        made.close_attempt(second, 15)


# --- clocks ---


def test_the_past_is_closed() -> None:
    made = line()
    made.wait(("a", 0), 100)
    with pytest.raises(books.InThePast, match=r"slot \('a', 0\) is in use until 100 ns; found an operation at 99 ns"):
        made.measure(("a", 0), 99)
    with pytest.raises(books.InThePast):
        made.observe(1, 99)
    made.measure(("r", 0), 50)  # the other half has a clock of its own


def test_operations_take_their_time() -> None:
    device = DeviceNoise(init_ns=5, gate1_ns=10, gate2_ns=100, readout_ns=1000)
    made = ledger(a=Node(device=device))
    assert made.init(("a", 0), 0).done_ns == 5
    with pytest.raises(books.InThePast, match="until 5 ns"):
        made.gate("H", ("a", 0), 4)
    assert made.gate("H", ("a", 0), 5).done_ns == 15
    with pytest.raises(books.InThePast, match="until 15 ns"):
        made.measure(("a", 0), 14)
    done = made.measure(("a", 0), 15)
    assert (done.done_ns, done.known) == (1015, (("a", 1015),))
    with pytest.raises(books.InThePast, match="free from 1015 ns"):
        made.init(("a", 0), 1014)
    made.init(("a", 0), 1015)
    assert made.move(("a", 0), ("a", 1), 1020).done_ns == 1120
    with pytest.raises(books.InThePast):
        made.init(("a", 0), 1119)


def test_idle_noise_goes_on_during_gates() -> None:
    memory = MemoryNoise.werner(1.0)
    made = ledger(a=Node(memory, DeviceNoise(gate1_ns=S)))
    made.herald([("a", 0), ("b", 0)], bell.werner(1.0), 0)
    made.gate("X", ("a", 0), 0)
    found = made.observe(("a", 0), S).bell
    assert found is not None
    assert found[2] == pytest.approx((1 + 3 * exp(-1)) / 4)


def test_bits_are_known_where_they_are_read_and_sent() -> None:
    made = ledger(a=Node(device=DeviceNoise(gate2_ns=10, readout_ns=3)), b=Node(device=DeviceNoise(readout_ns=70)))
    for k in (0, 1):
        made.herald([("a", k), ("b", k)], PAIR, 0)
    done = made.purify((("a", 0), ("b", 0)), (("a", 1), ("b", 1)), 100, "bbpssw")
    assert done.known == (("a", 113), ("b", 170))
    assert done.done_ns == 170
    sent = made.send("b", "a", done.bits[1:], 170, 5000)
    assert sent.known == (("a", 5170),)
    with pytest.raises(ValueError, match="delay_ns"):
        made.send("b", "a", (0,), 170, -1)


def test_noise_can_change_at_an_instant() -> None:
    made = ledger(a=Node(MemoryNoise.werner(1.0)))
    made.herald([("a", 0), ("b", 0)], bell.werner(1.0), 0)
    made.set_node("a", Node(MemoryNoise.werner(0.1)), S)
    assert made.node("a").memory.werner_tau_s == 0.1
    assert made.observe(("a", 0), S + S // 10).fidelity() == pytest.approx((1 + 3 * exp(-2)) / 4)
    with pytest.raises(books.InThePast):
        made.set_node("a", Node(), S - 1)


def test_attempts_disturb_what_the_nodes_hold() -> None:
    law = MemoryNoise(decay_per_attempt=1 / 500)
    made = ledger(r=Node(law), c=Node(law))
    made.herald([("a", 0), ("r", 0)], bell.werner(1.0), 0)
    made.herald([("c", 0), ("d", 0)], bell.werner(1.0), 0)
    attempt = made.open_attempt([("r", 1), ("b", 0)], 0)
    made.close_attempt(attempt, S, attempts=300)
    made.herald([("r", 1), ("b", 0)], bell.werner(1.0), 2 * S, attempts=200)
    seen = made.observe(1, 2 * S).bell
    assert seen == pytest.approx(((1 + exp(-1)) / 2, (1 - exp(-1)) / 2, 0, 0), abs=1e-12)
    assert made.observe(2, 2 * S).fidelity() == 1.0  # another node
    assert made.observe(("b", 0), 2 * S).fidelity() == 1.0  # the pair itself
    made.wait(("r", 0), 2 * S)
    assert made.observe(1, 3 * S).bell == pytest.approx(seen)  # once only
    with pytest.raises(ValueError, match="attempts"):
        made.herald([("x", 1), ("y", 0)], PAIR, 0, attempts=-1)


# --- formalisms ---


def test_relaxation_is_exact() -> None:
    """Fidelity of Phi+ with T1 and T2 at both ends, at a number worked out elsewhere."""
    made = ledger(a=Node(MemoryNoise.relaxation(0.1, 0.05)), b=Node(MemoryNoise.relaxation(0.2, 0.03)))
    made.herald([("a", 0), ("b", 0)], bell.werner(1.0), 0)
    seen = made.observe(1, 10 * MS)
    assert seen.fidelity() == pytest.approx(0.759660387, abs=1e-9)
    assert seen.bell is None
    made.wait(("a", 0), 10 * MS)
    assert made.observe(1, 10 * MS).formalism is Formalism.DENSITY


def test_twirled_relaxation_keeps_pairs_cheap() -> None:
    law = MemoryNoise.relaxation(0.1, 0.05, twirled=True)
    made = ledger(a=Node(law))
    made.herald([("a", 0), ("b", 0)], PAIR, 0)
    made.wait(("a", 0), 10 * MS)
    seen = made.observe(1, 10 * MS)
    assert seen.formalism is Formalism.BELL
    assert seen.bell == pytest.approx(bell.decay(PAIR, law, 10 * MS))


def test_formalisms_follow_what_is_done() -> None:
    made = ledger()
    for k, name in enumerate("abcd"):
        made.herald([("r", k), (name, 0)], PAIR, 0)
    merged = made.gate("CNOT", [("r", 0), ("r", 1)], 1)
    assert merged.states == (5,)
    assert made.observe(5, 1).formalism is Formalism.DENSITY
    assert set(made.slots(5)) == {("r", 0), ("a", 0), ("r", 1), ("b", 0)}
    # undone, they are pairs again
    apart = made.gate("CNOT", [("r", 0), ("r", 1)], 2)
    assert len(apart.states) == 2
    assert {made.observe(s, 2).formalism for s in apart.states} == {Formalism.BELL}


def test_a_product_falls_apart_when_it_is_read() -> None:
    made = ledger()
    for k, name in enumerate("ab"):
        made.herald([("r", k), (name, 0)], bell.werner(1.0), 0)
    joined = made.fuse(("r", 0), ("r", 1), 1)
    assert len(joined.states) == 1
    left = made.measure(("r", 0), 2)
    assert len(left.states) == 2  # GHZ read in Z: each companion is in a known state
    assert {made.slots(s) for s in left.states} == {(("a", 0),), (("b", 0),)}


def test_gates_make_a_pair_of_two_fresh_qubits() -> None:
    made = ledger()
    made.init(("a", 0), 0)
    made.init(("a", 1), 0)
    made.gate("H", ("a", 0), 0)
    pair = made.gate("CNOT", [("a", 0), ("a", 1)], 0)
    seen = made.observe(pair.state, 0)
    assert seen.formalism is Formalism.BELL
    assert seen.bell == pytest.approx((1, 0, 0, 0), abs=1e-12)


def test_any_state_of_few_qubits_can_be_heralded() -> None:
    made = ledger()
    w = dm.from_vector([0, 1, 1, 0, 1, 0, 0, 0])
    state = made.herald([("a", 0), ("b", 0), ("c", 0)], w, 0).state
    assert np.allclose(made.observe(state, 0).matrix, w)
    with pytest.raises(books.LedgerError, match="expected a state of 2 qubits"):
        made.herald([("a", 1), ("b", 1)], w, 0)
    with pytest.raises(ValueError, match="sum to 1"):
        made.herald([("a", 1), ("b", 1)], (0.5, 0.5, 0.5, 0.5), 0)


@needs_stim
def test_beyond_eight_qubits_a_w_state_meets_nothing() -> None:
    """Four W states of three; the third meeting would make ten qubits."""
    made = ledger()
    w = dm.from_vector([0, 1, 1, 0, 1, 0, 0, 0])
    for k in range(4):
        made.herald([("r", k), ("a", k), ("b", k)], w, 0)
    made.gate("CZ", [("r", 0), ("r", 1)], 1)
    before = made.states()
    with pytest.raises(Unsupported, match=r"9 qubits are more than 8.*no mixture of stabilizer states"):
        made.gate("CZ", [("r", 1), ("r", 2)], 2)
    assert made.states() == before
    assert made.measure(("a", 2), 3).bits in ((0,), (1,))


def star(made: Ledger, count: int, t_ns: int, fidelity: float = 1.0) -> None:
    """A GHZ state of `count` leaves and a centre, corrected."""
    for k in range(count):
        made.herald([("c", k), (f"n{k}", 0)], bell.werner(fidelity), t_ns)
    for k in range(1, count):
        if made.fuse(("c", 0), ("c", k), t_ns + k).bits[0]:
            made.correct((f"n{k}", 0), "X", t_ns + k)


@needs_stim
@pytest.mark.parametrize("basis", ["Z", "X", "Y"])
def test_a_hundred_parties_share_a_ghz_state(basis: str) -> None:
    """Made, measured, and in well under a second of CPU. Z: all alike. X: even. Y: parity of 100/2."""
    made = ledger(4)
    began = time.process_time()
    star(made, 99, 0)
    slots = [("c", 0), *((f"n{k}", 0) for k in range(99))]
    bits = [made.measure(slot, 1000, basis).bits[0] for slot in slots]
    spent = time.process_time() - began
    if basis == "Z":
        assert len(set(bits)) == 1
    else:
        assert sum(bits) % 2 == 0
    assert made.states() == ()
    assert spent < 1.0


@needs_stim
def test_ghz_of_twelve_mixed_pairs_is_as_good_as_the_formula() -> None:
    """F = (prod(a+b) + prod(a-b))/2 with a, b the shares of Phi+, Phi-. Twelve pairs pass from pairs to a matrix to a
    tableau, whose stabilizers are all + with probability F: 150 states, 5 sigma."""
    f, hits, count = 0.97, 0, 150
    a, b = f, (1 - f) / 3
    expected = ((a + b) ** 12 + (a - b) ** 12) / 2
    for seed in range(count):
        made = ledger(seed)
        star(made, 12, 0, f)
        lines = made.observe(("c", 0), 100).stabilizers
        assert lines is not None
        hits += all(line[0] == "+" for line in lines)
    assert abs(hits - count * expected) < 5 * sqrt(count * expected * (1 - expected))


@needs_stim
def test_large_states_need_pauli_noise() -> None:
    exact = Node(MemoryNoise.relaxation(1.0, 1.0))
    made = ledger(n3=exact)
    with pytest.raises(Unsupported, match=r"fuse .* relaxation \(T1\) at n3 is no Pauli noise"):
        star(made, 20, 0)
    twirled = Node(MemoryNoise.relaxation(1.0, 1.0, twirled=True))
    made = ledger(n3=twirled)
    star(made, 20, 0)
    with pytest.raises(Unsupported, match="T is outside the Clifford group"):
        made.gate("T", ("c", 0), S)
    with pytest.raises(Unsupported, match="along X, Y or Z"):
        made.measure(("c", 0), S, (0.3, 0.0))
    assert len(made.slots(made.state_in(("c", 0)) or 0)) == 21
    made.set_node("n5", exact, S)
    with pytest.raises(Unsupported, match="declare its memory twirled"):
        made.wait(("n5", 0), 2 * S)


@needs_stim
def test_a_tableau_shows_what_has_happened_so_far() -> None:
    noisy = Node(MemoryNoise.werner(1e-3))
    made = ledger(n2=noisy)
    star(made, 12, 0)
    seen = made.observe(("c", 0), S)
    assert seen.formalism is Formalism.STABILIZER
    assert seen.matrix is None
    assert seen.as_of_ns[seen.slots.index(("n2", 0))] < S
    with pytest.raises(ValueError, match="expected a pair, found 13 qubits"):
        seen.fidelity()


def test_without_stim_large_states_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stim", None)
    with pytest.raises(Unsupported, match=r"install quoit\[stim\]"):
        star(ledger(), 12, 0)


# --- frames ---


def test_a_correction_is_undone_by_itself() -> None:
    made = line()
    before = made.observe(1, 0).bell
    for pauli in ("X", 1, "Y", "I"):
        made.correct(("r", 0), pauli, 1)
    assert made.observe(1, 1).bell == pytest.approx(before)
    for bad in ("W", "", 4, "XX"):
        with pytest.raises(ValueError, match="expected a Pauli"):
            made.correct(("r", 0), bad, 1)


@pytest.mark.parametrize("pauli", ["X", "Y", "Z"])
def test_relaxation_acts_on_what_is_really_there(pauli: str) -> None:
    """A frame does not move the qubit: it decays to |0>, which reads as |1> where the frame flips."""
    made = ledger(a=Node(MemoryNoise.relaxation(0.1, 0.1)))
    made.init(("a", 0), 0)
    made.correct(("a", 0), pauli, 0)
    matrix = made.observe(("a", 0), 10 * S).matrix
    assert matrix is not None
    assert matrix[0, 0].real == pytest.approx(0 if pauli in "XY" else 1)
    assert made.measure(("a", 0), 10 * S).bits == (int(pauli in "XY"),)


def test_readings_take_the_frame_into_account() -> None:
    """On |psi>, a noted Pauli and the Pauli itself give the same: all bases, all Paulis, through each gate."""
    gates = [("H", 0.0), ("S", 0.0), ("SDG", 0.0), ("T", 0.0), ("RX", 0.4), ("RY", 1.1), ("RZ", -0.7), ("X", 0.0)]
    for pauli, (gate, angle), basis in itertools.product("XYZ", gates, ("X", "Y", "Z", (0.8, 0.2))):
        seen = []
        for noted in (True, False):
            made = ledger()
            made.init(("a", 0), 0)
            made.gate("RY", ("a", 0), 0, angle_rad=0.9)
            made.gate("RZ", ("a", 0), 0, angle_rad=0.5)
            if noted:
                made.correct(("a", 0), pauli, 1)
            else:
                made.gate(pauli, ("a", 0), 1)
            made.gate(gate, ("a", 0), 2, angle_rad=angle)
            matrix = made.observe(("a", 0), 2).matrix
            assert matrix is not None
            seen.append((matrix, made.measure(("a", 0), 2, basis).bits))
        assert np.allclose(seen[0][0], seen[1][0])
        assert seen[0][1] == seen[1][1]


def test_the_frame_is_in_no_density_of_the_ledger_but_in_its_answers() -> None:
    """A teleported qubit: right after the correction, and before it a mixture of four for whoever lacks the bits."""
    total = np.zeros((2, 2), dtype=complex)
    psi = None
    for seed in range(40):
        made = ledger(seed)
        made.herald([("a", 1), ("b", 0)], bell.werner(1.0), 0)
        made.init(("a", 0), 0)
        made.gate("RY", ("a", 0), 0, angle_rad=0.9)
        made.gate("T", ("a", 0), 0)
        psi = made.observe(("a", 0), 0).matrix
        done = made.bell_measure(("a", 0), ("a", 1), 1)
        total += made.observe(("b", 0), 1).matrix / 40
        made.correct(("b", 0), done.pauli, 2)
        assert np.allclose(made.observe(("b", 0), 2).matrix, psi)
    # 40 draws of four states whose mean is I/2; entries are means of bounded numbers, 5 sigma is 0.4
    assert np.abs(total - np.eye(2) / 2).max() < 0.4
    assert not np.allclose(psi, np.eye(2) / 2, atol=0.3)


# --- the oracle, and what a caller may get wrong ---


def test_watching_changes_nothing() -> None:
    noisy = {"a": Node(MemoryNoise.relaxation(1.0, 0.5)), "r": Node(MemoryNoise.werner(0.3))}
    runs = []
    for watched in (True, False):
        made = line(9, **noisy)
        bits = []
        for t in range(1, 4):
            if watched:
                for state in made.states():
                    made.observe(state, t * S)
            made.gate("H", ("r", 0), t * S)
        bits.append(made.bell_measure(("r", 0), ("r", 1), 5 * S).bits)
        runs.append((bits, made.observe(("a", 0), 6 * S).matrix))
    assert runs[0][0] == runs[1][0]
    assert np.allclose(runs[0][1], runs[1][1], atol=1e-14)


def test_the_same_seed_and_calls_give_the_same_run() -> None:
    noisy = {"r": Node(MemoryNoise.werner(0.3), DeviceNoise(0.9, 0.9, 0.9, 0.7))}
    runs = []
    for seed in (4, 4, 5):
        made, seen = ledger(seed, **noisy), []
        for k in range(40):
            made.herald([("a", 0), ("r", 0)], PAIR, k * S)
            made.herald([("r", 1), ("b", 0)], PAIR, k * S)
            done = made.bell_measure(("r", 0), ("r", 1), k * S)
            seen += [done.ok, *done.bits, *made.measure(("a", 0), k * S).bits, *made.measure(("b", 0), k * S, "X").bits]
        runs.append(seen)
    assert runs[0] == runs[1] != runs[2]


def test_the_oracle_can_be_shut() -> None:
    made = Ledger(np.random.default_rng(1), oracle=False)
    made.herald([("a", 0), ("b", 0)], PAIR, 0)
    with pytest.raises(books.LedgerError, match="estimate"):
        made.observe(1, 0)


def test_unknown_names_are_listed() -> None:
    made = line()
    with pytest.raises(ValueError, match=r"expected a gate of X, Y, Z, H.*found 'measure'"):
        made.gate("measure", ("a", 0), 1)
    with pytest.raises(ValueError, match="bbpssw or dejmps, found 'magic'"):
        made.purify((("a", 0), ("b", 0)), (("a", 1), ("b", 1)), 1, "magic")
    with pytest.raises(ValueError, match="finite angle"):
        made.gate("RX", ("a", 0), 1, angle_rad=float("inf"))
    with pytest.raises(ValueError, match="expected a basis"):
        made.measure(("a", 0), 1, "Q")
    assert made.states() == (1, 2)


@pytest.mark.parametrize("method", ["bbpssw", "dejmps"])
def test_purification_consumes_a_pair(method: str) -> None:
    made = ledger(5)
    for k in (0, 1):
        made.herald([("a", k), ("b", k)], bell.werner(0.8), 0)
    done = made.purify((("a", 0), ("b", 0)), (("a", 1), ("b", 1)), 1, method)
    assert made.states() == done.states == (3,)
    assert made.slots(3) == (("a", 0), ("b", 0))
    law = getattr(bell, method)(bell.werner(0.8), bell.werner(0.8))
    assert made.observe(3, 1).bell == pytest.approx(law.kept if done.ok else law.rejected)
    assert done.ok == (done.bits[0] == done.bits[1])


def test_quarter_turns_are_clifford_only_when_exact() -> None:
    made = ledger()
    made.init(("a", 0), 0)
    for _ in range(4):
        made.gate("RX", ("a", 0), 0, angle_rad=pi / 2)
    assert made.measure(("a", 0), 0).bits == (0,)
