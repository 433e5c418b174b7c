"""The benchmark's workloads: what peers are told is what quoit runs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from quoit.testing.bench.chains import ours
from quoit.testing.bench.workloads import chain, graph, nested_reach, network, shortest


def test_a_hop_succeeds_as_its_loss_says() -> None:
    assert chain(3).success == pytest.approx(0.161235, abs=1e-5)
    assert network(100, 1).success == pytest.approx(0.101733, abs=1e-5)
    assert chain(3).light_ns == 100_000


@pytest.mark.parametrize("hops", [2, 4, 8, 16, 32])
def test_nested_swaps_double_the_reach(hops: int) -> None:
    for i in range(1, hops):
        assert nested_reach(i, hops) == (i - (i & -i), i + (i & -i))


@pytest.mark.parametrize("hops", range(2, 12))
def test_nested_swaps_leave_one_pair_from_end_to_end(hops: int) -> None:
    pairs = {(i, i + 1) for i in range(hops)}
    for i in sorted(range(1, hops), key=lambda i: max(abs(i - end) for end in nested_reach(i, hops))):
        left, right = nested_reach(i, hops)
        pairs -= {(left, i), (i, right)}
        pairs.add((left, right))
    assert pairs == {(0, hops)}


def test_a_network_is_connected_and_its_requests_follow_links() -> None:
    neighbours = graph(100, 125, seed=1)
    assert sum(map(len, neighbours)) == 250
    assert len(shortest(neighbours, 0)) == 100
    work = network(100, 10)
    assert len(work.paths) == 10
    for path in work.paths:
        assert 3 <= len(path) <= 6
        assert all(b in neighbours[a] for a, b in pairwise(path))


@pytest.mark.parametrize("nested", [True, False])
def test_without_decoherence_a_pair_has_the_fidelity_of_its_hops(nested: bool) -> None:
    found = ours(chain(6, coherence_s=None), nested, compiled=False)
    w = (4 * 0.99 - 1) / 3
    assert found.pairs > 50
    assert found.fidelity == pytest.approx((1 + 3 * w**5) / 4, abs=1e-12)


def test_the_left_node_of_a_hop_leads_where_its_name_sorts_later() -> None:
    """As SeQUeNCe decides it, by letters: then its word goes over the hop once more."""
    nine, ten = chain(11).circuits(nested=True)[0].hops[8:10]
    assert (nine.cycle_ns, ten.cycle_ns) == (400_000, 500_000)  # n8 to n9, and n9 to n10
    assert {hop.cycle_ns for hop in chain(11).circuits(nested=False)[0].hops} == {400_000}
    assert {hop.cycle_ns for hop in chain(11, cycle_ns=100_000).circuits(nested=True)[0].hops} == {100_000}
    work = network(100, 10)
    for path, circuit in zip(work.paths, work.circuits(nested=True), strict=True):
        led = [hop.cycle_ns > work.cycle_ns for hop in circuit.hops]
        assert led == [f"n{a}" > f"n{b}" for a, b in pairwise(path)]
