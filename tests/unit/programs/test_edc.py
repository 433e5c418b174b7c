"""Virtual links between anchors: kept ready, joined on demand, refreshed, and resolved over two tiers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.engine.kernels.machine import PairMachine, can_compile
from quoit.engine.program import Circuit, Decay, Hop, Node, Swap, werner_state
from quoit.fabric.programs.asap import Asap
from quoit.fabric.programs.demand import Demand, Refused, Station
from quoit.fabric.programs.edc import AnchorDirectory, EntanglementDefined, anchors_of, anchors_within

S = 10**9
LIGHT = 100_000


def rng(purpose: str, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[7, number * 2 + (purpose == "attempts")]))


def demand(hops: int, decay: Decay = Decay()) -> Demand:  # noqa: B008 - frozen
    link = Hop(LIGHT, 0.01, 400_000, werner_state(0.98))
    return Demand(tuple(Station(f"n{i}", decay, 2) for i in range(hops + 1)), (link,) * hops, 0.6, 10)


@pytest.mark.parametrize(
    ("hops", "spacing", "anchors"),
    [
        (1, 2, [0, 1]),
        (2, 2, [0, 1, 2]),
        (3, 2, [0, 2, 3]),
        (6, 2, [0, 2, 4, 6]),
        (7, 3, [0, 3, 6, 7]),
        (3, 9, [0, 1, 3]),
    ],
)
def test_anchors_lie_at_their_spacing(hops: int, spacing: int, anchors: list[int]) -> None:
    assert anchors_of(hops, spacing) == anchors


@pytest.mark.parametrize("hops", [2, 5, 6, 8])
def test_a_pair_that_is_asked_for_takes_light_and_no_attempt(hops: int) -> None:
    """Ready virtual links are joined at once: the wait is light's, while swapping from scratch takes many cycles."""
    asked = demand(hops)
    ready = PairMachine([EntanglementDefined().compile(asked).circuit], rng, compiled=False)
    assert len(ready.run(2 * S)) == 0
    ready.demand(0, 1)
    found = ready.run(3 * S)
    assert len(found) == 1
    # News of each anchor go to the next one that waits for it, and the last outcome to the ends.
    assert found.at_ns[0] - 2 * S <= 2 * hops * LIGHT
    scratch = PairMachine([replace(Asap().compile(asked).circuit, wanted=0)], rng, compiled=False)
    scratch.run(2 * S)
    scratch.demand(0, 1)
    assert scratch.run(6 * S).at_ns[0] - 2 * S > 20 * 400_000


@pytest.mark.parametrize("hops", [2, 4, 7])
def test_as_many_pairs_come_as_were_asked_for(hops: int) -> None:
    machine = PairMachine([EntanglementDefined().compile(demand(hops)).circuit], rng, compiled=False)
    for number in (3, 50, 1):
        machine.demand(0, number)
        assert len(machine.run(machine.now_ns + 20 * S)) == number


def test_stored_pairs_are_refreshed_while_nobody_asks() -> None:
    decays = Decay.t1_t2(1, 0.5)
    made = EntanglementDefined().compile(demand(4, decays))
    machine = PairMachine([made.circuit], rng, compiled=False)
    machine.run(20 * S)
    counts = machine.counts(0)
    assert counts.expired > 20
    assert counts.heralds > 40
    machine.demand(0, 1)
    found = machine.run(40 * S)
    assert len(found) == 1
    assert found.fidelity[0] >= made.promise.least
    cutoff_ns = made.circuit.nodes[2].cutoff_ns
    assert cutoff_ns is not None
    assert 20 * S - found.born_ns[0] <= 4 * cutoff_ns


def test_an_anchor_is_named_for_each_node() -> None:
    documents = EntanglementDefined().compile(demand(5)).documents
    assert documents["anchors"] == {"n0": "n0", "n1": "n0", "n2": "n2", "n3": "n2", "n4": "n4", "n5": "n5"}
    assert documents["virtual_links"] == [["n0", "n2"], ["n2", "n4"], ["n4", "n5"]]


def test_a_set_of_nodes_is_resolved_by_longest_prefix_and_split_by_anchor() -> None:
    directory = AnchorDirectory(
        {"urn:q:north": "north", "urn:q:north:lab": "lab", "urn:q:south:": "south"},
        {
            "north": {"urn:q:north:a": "n1", "urn:q:north:b": "n1", "urn:q:north:c": "n2"},
            "lab": {"urn:q:north:lab:x": "l1"},
            "south": {"urn:q:south:a": "s1"},
        },
    )
    asked = ["urn:q:north:a", "urn:q:north:b", "urn:q:north:lab:x", "urn:q:south:a", "urn:q:north:a"]
    found = directory.resolve(asked)
    assert found.by_anchor == {
        "n1": {"urn:q:north:a", "urn:q:north:b"}, "l1": {"urn:q:north:lab:x"}, "s1": {"urn:q:south:a"},
    }  # fmt: skip
    assert found.domains == {"north", "lab", "south"}
    assert found.lookups == 8
    with pytest.raises(Refused, match=r"urn:q:northern:a \(no domain"):
        directory.resolve([*asked, "urn:q:northern:a", "urn:q:south:b"])
    with pytest.raises(Refused, match=r"urn:q:north:z \(domain north.*urn:q:south:b \(domain south"):
        directory.resolve([*asked, "urn:q:north:z", "urn:q:south:b"])


def test_anchors_of_a_network_serve_every_node_within_their_reach() -> None:
    """A star with a tail: its middle, then one for the tail; what has no link serves itself."""
    links = [("m", "a"), ("m", "b"), ("m", "c"), ("c", "d"), ("d", "e")]
    assert anchors_within("abcdem", links, 1) == {"a": "m", "b": "m", "c": "d", "m": "m", "d": "d", "e": "d"}
    assert anchors_within("xy", [], 1) == {"x": "x", "y": "y"}
    assert anchors_within("abcdem", links, 3) == dict.fromkeys("abcdem", "c")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.integers(0, 3))
def test_every_node_has_an_anchor_near_and_anchors_serve_themselves(edges: list[tuple[int, int]], reach: int) -> None:
    links = [(f"n{a}", f"n{b}") for a, b in edges if a != b]
    nodes = [f"n{number}" for number in range(10)]
    table = anchors_within(nodes, links, reach)
    assert set(table) == set(nodes)
    around = {node: {node} for node in nodes}
    for _ in range(reach):
        around = {n: own | {y for x in own for e in links if x in e for y in e} for n, own in around.items()}
    for node, anchor in table.items():
        assert node in around[anchor]
        assert table[anchor] == anchor


@pytest.mark.skipif(not can_compile(), reason="numba is not installed: quoit[fast]")
def test_long_cut_offs_on_fast_links_have_room_when_compiled() -> None:
    """Cut-offs stay pending after their qubits: thousands here, and the same bits come out."""
    hop = Hop(1_000, 0.5, 10_000, werner_state(0.99))
    node = Node(Decay.t1_t2(1, 1))
    circuit = Circuit((node, replace(node, swap=Swap(), cutoff_ns=S // 10), node), (hop, hop), 2)
    runs = []
    for compiled in (True, False):
        machine = PairMachine([circuit], rng, compiled)
        assert machine.compiled is compiled
        runs.append(machine.run(S // 5))
        if compiled:
            assert len(machine._tables.heap) > 10_000  # far more than it began with
    assert len(runs[0]) > 1_000
    assert np.array_equal(runs[0].at_ns, runs[1].at_ns)
    assert np.array_equal(runs[0].state, runs[1].state)


def test_a_circuit_that_delivers_without_being_asked_cannot_be_asked() -> None:
    circuit = replace(Asap().compile(demand(2)).circuit, wanted=None)
    with pytest.raises(ValueError, match="delivers without end"):
        PairMachine([circuit], rng, False).demand(0, 1)
