"""The states of a memory's qubit: which may follow, who owns, and how waiting adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric.qubits import FOLLOWS, HOLDING, OWNERS, MemoryQubit, QubitState
from quoit.model.problem import Problem

S = QubitState


def test_every_state_has_an_owner_and_leads_back_to_raw() -> None:
    assert set(OWNERS) == set(FOLLOWS) == set(QubitState)
    for state in QubitState:
        reached, edge = {state}, {state}
        while edge:
            edge = {after for before in edge for after in FOLLOWS[before]} - reached
            reached |= edge
        assert S.RAW in reached, state


def test_the_whole_life_of_a_pairs_half() -> None:
    qubit = MemoryQubit()
    assert (qubit.state, qubit.owner, qubit.held) == (S.RAW, "QMMF", False)
    path = (S.RESERVED, S.ACTIVE, S.ENTANGLED, S.PURIF, S.PENDING, S.ELIGIBLE, S.CONSUME, S.RELEASE, S.RAW)
    owners = ("EGF", "EGF", "QFF", "EPF", "EPF", "QFF", "QAF", "QMMF", "QMMF")
    for at_ns, (state, owner) in enumerate(zip(path, owners, strict=True), 1):
        qubit.step(state, 10 * at_ns)
        assert (qubit.state, qubit.owner, qubit.since_ns) == (state, owner, 10 * at_ns)
    assert qubit.lives == 1
    assert qubit.idle_ns == 40  # from ENTANGLED at 30 to CONSUME at 70


@pytest.mark.parametrize("before", QubitState)
@pytest.mark.parametrize("after", QubitState)
def test_no_state_but_those_that_may_follow(before: QubitState, after: QubitState) -> None:
    qubit = MemoryQubit()
    qubit.state = before
    if after in FOLLOWS[before]:
        qubit.step(after, 5)
        assert qubit.state is after
        return
    with pytest.raises(Problem, match=f"bad-qubit-state: from {before} expected .*; found {after}"):
        qubit.step(after, 5)
    assert (qubit.state, qubit.since_ns) == (before, 0)


def test_operations_are_not_idleness() -> None:
    qubit = MemoryQubit()
    qubit.walk(0, S.RESERVED, S.LOCAL)
    qubit.worked(10, 25)
    assert qubit.idle_at(25) == 10
    assert qubit.idle_at(30) == 15
    qubit.step(S.SWAPPING, 40)
    assert qubit.idle_at(99) == 25
    qubit.walk(50, S.RELEASE, S.RESERVED)
    assert qubit.idle_at(1000) == 25
    qubit.step(S.ENTANGLED, 1000)
    assert qubit.idle_at(1001) == 26
    assert qubit.lives == 2


@given(st.lists(st.tuples(st.sampled_from(QubitState), st.integers(1, 100)), max_size=40))
def test_idle_time_is_never_more_than_the_time_of_holding(steps: list[tuple[QubitState, int]]) -> None:
    qubit, now, held = MemoryQubit(), 0, 0
    for state, gap in steps:
        held += gap if qubit.held else 0
        now += gap
        assert qubit.idle_at(now) == held
        if state in FOLLOWS[qubit.state]:
            qubit.step(state, now)
        assert qubit.held == (qubit.state in HOLDING)
