"""Attempts of a node that disturb what it stores: the same bits in both kernels, and never below what is promised."""

from __future__ import annotations

from dataclasses import replace
from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quoit.engine.kernels.machine import Delivered, PairMachine, can_compile
from quoit.engine.program import Circuit, Decay, Hop, Node, Purification, Swap, fidelity_of, werner_state
from quoit.fabric.programs.promises import balanced, least, mean

COMPILED = pytest.mark.skipif(not can_compile(), reason="numba is not installed: the extra `fast`")


def run(circuit: Circuit, until_ns: int, seed: int = 1, compiled: bool = False) -> Delivered:
    return PairMachine([circuit], lambda purpose, n: np.random.default_rng([seed, n, len(purpose)]), compiled).run(
        until_ns
    )


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Paths of one to four links with disturbed nodes among them, any rule of swapping, cut-offs so that there is a
    bound, at times purification."""
    hops, width = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    links = []
    for _ in range(hops):
        light = draw(st.integers(1, 5_000))
        cycle = light + draw(st.integers(0, 5_000))
        stored = draw(st.integers(0, light))
        state = werner_state(draw(st.floats(0.8, 1.0)))
        links.append(Hop(light, draw(st.floats(0.02, 0.9)), cycle, state, stored, draw(st.integers(0, 5_000))))
    rounds = {1: 1} if width > 1 and draw(st.booleans()) else {}
    fixed = rounds or draw(st.booleans())
    reach = {k: (left, right) for k, left, right in balanced(0, hops)}
    decays = st.sampled_from([Decay(), Decay.werner(1e-3), Decay.t1_t2(4e-3, 1e-3)])
    losses = st.sampled_from([0.0, 1 / 1800, 0.02])
    nodes = []
    for k in range(hops + 1):
        rule = None
        if 0 < k < hops:
            left, right = reach[k] if fixed else (None, None)
            rule = Swap(left, right, draw(st.integers(0, 3_000)), draw(st.floats(0.5, 1)), draw(st.floats(0.9, 1)))
        cutoff = draw(st.integers(1_000, 200_000)) if rule else None
        nodes.append(Node(draw(decays), rule, cutoff, draw(losses)))
    how = Purification(rounds, "bbpssw", 0.98, 0.99) if rounds else Purification({})
    return Circuit(tuple(nodes), tuple(links), width, None, how)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(circuits(), st.integers(0, 2**32))
def test_no_pair_is_below_the_bound(circuit: Circuit, seed: int) -> None:
    found, bound = run(circuit, 400_000, seed), least(circuit)
    assert bound is not None
    if len(found):
        assert found.fidelity.min() >= bound - 1e-12


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(circuits(), st.integers(0, 2**32))
def test_attempts_never_help_and_change_no_event(circuit: Circuit, seed: int) -> None:
    """x and y only shrink; when what happens is not touched, and z is as without."""
    still = replace(circuit, nodes=tuple(replace(node, attempt_loss=0.0) for node in circuit.nodes))
    if any(circuit.purification.rounds.values()):
        return  # whether a purification succeeds hangs on the state
    found, free = run(circuit, 400_000, seed), run(still, 400_000, seed)
    assert (found.left_ns == free.left_ns).all()
    assert (found.right_ns == free.right_ns).all()
    assert np.allclose(found.state[:, 2], free.state[:, 2], rtol=1e-12)
    assert (np.abs(found.state[:, :2]) <= np.abs(free.state[:, :2]) + 1e-15).all()


@COMPILED
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(circuits(), st.integers(0, 2**32))
def test_both_kernels_give_the_same_bits(circuit: Circuit, seed: int) -> None:
    plain, compiled = (run(circuit, 400_000, seed, way) for way in (False, True))
    for column in ("left_ns", "right_ns", "born_ns", "state", "tries"):
        assert getattr(plain, column).tobytes() == getattr(compiled, column).tobytes()


def two_in_step(loss: float) -> Circuit:
    hop = Hop(1_000, 0.1, 5_000, werner_state(0.98), restart_ns=1_000)
    node = Node(Decay(), attempt_loss=loss)
    return Circuit((node, replace(node, swap=Swap()), node), (hop, hop))


def test_two_links_in_step_pay_for_every_attempt_of_the_other() -> None:
    """The mean has a closed form. 5 standard errors: false alarm once in 3,000,000."""
    circuit = two_in_step(0.03)
    found, expected = run(circuit, 1_000_000_000), mean(circuit)
    assert expected is not None
    assert expected < fidelity_of(werner_state(0.98)) - 0.1
    assert abs(found.fidelity.mean() - expected) < 5 * found.fidelity.std() / sqrt(len(found))
    # A pair that waited n cycles of the other link has paid n times, to the digit.
    w, paid = werner_state(0.98)[0] ** 2, np.log(found.state[:, 0] / found.state[:, 2]) / -0.03
    assert np.allclose(found.state[:, 2], w)
    assert np.allclose(paid, np.round(paid), atol=1e-9)
    assert paid.max() > 20


def test_attempts_made_elsewhere_cost_as_much() -> None:
    circuit = Circuit((Node(attempt_loss=0.5), Node()), (Hop(1_000, 1.0, 5_000, werner_state(1.0)),), 1, 1)
    machine = PairMachine([circuit], lambda purpose, n: np.random.default_rng(n), compiled=False)
    machine.disturb(0, 7)  # before the pair is stored: free
    assert machine.tries(0) == 7
    found = machine.run(5_000)
    assert found.state[0] == pytest.approx([1.0, 1.0, 1.0])
    assert found.tries[0].tolist() == [8, 1]
    late = Circuit((Node(attempt_loss=0.5), Node(swap=Swap()), Node()), (circuit.hops[0],) * 2, 1, 1)
    machine = PairMachine([late], lambda purpose, n: np.random.default_rng(n), compiled=False)
    machine.run(5_000)  # swapped, and the news on their way
    machine.disturb(0, 3)
    found = machine.run(10_000)
    assert found.state[0] == pytest.approx([exp(-1.5), exp(-1.5), 1.0])
