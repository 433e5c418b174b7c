"""Disjoint routes against a linear program's answer on random graphs, and Suurballe's trap."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.planes.disjoint import disjoint_routes

Edge = tuple[str, str, str]


def oracle(edges: list[Edge], costs: dict[str, int], number: int) -> tuple[int, int]:
    """(routes, least total cost) by min-cost flow on the split graph."""
    graph = nx.MultiDiGraph()
    for node in "abcdefg":
        graph.add_edge((node, 0), (node, 1), capacity=number if node in "ab" else 1, weight=0)
    for name, one, other in edges:
        for here, there in ((one, other), (other, one)):
            # a node between, since networkx wants no parallel edges in a flow
            graph.add_edge((here, 1), (name, here), capacity=1, weight=costs[name])
            graph.add_edge((name, here), (there, 0), capacity=1, weight=0)
    simple = nx.DiGraph(graph)
    most = nx.maximum_flow_value(simple, ("a", 1), ("b", 0))
    wanted = min(most, number)
    simple.nodes["a", 1]["demand"] = -wanted
    simple.nodes["b", 0]["demand"] = wanted
    return wanted, nx.min_cost_flow_cost(simple)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"), st.integers(0, 5)), max_size=16),
    st.integers(1, 4),
)
@settings(max_examples=200, deadline=None)
def test_as_many_and_as_cheap_as_a_flow_can_be(drawn: list[tuple[str, str, int]], number: int) -> None:
    edges = [(f"e{i:02}", a, b) for i, (a, b, _) in enumerate(drawn) if a != b]
    costs = {f"e{i:02}": cost for i, (_, _, cost) in enumerate(drawn)}
    found = disjoint_routes(edges, "a", "b", number, costs.__getitem__)
    wanted, least = oracle(edges, costs, number)
    assert len(found) == wanted
    assert sum(costs[edge] for _, used in found for edge in used) == least
    inner = [node for nodes, _ in found for node in nodes[1:-1]]
    assert len(inner) == len(set(inner)), "no node between the ends is shared"
    ends = {name: {a, b} for name, a, b in edges}
    for nodes, used in found:
        assert (nodes[0], nodes[-1]) == ("a", "b")
        assert all(ends[edge] == set(hop) for edge, hop in zip(used, pairwise(nodes), strict=True))


def test_the_shortest_route_is_given_up_when_it_blocks_the_others() -> None:
    edges = [("1", "a", "c"), ("2", "c", "d"), ("3", "d", "b"), ("4", "a", "d"), ("5", "c", "b")]
    costs = {"1": 1, "2": 1, "3": 1, "4": 3, "5": 3}
    found = disjoint_routes(edges, "a", "b", 2, costs.__getitem__)
    assert found == ((("a", "c", "b"), ("1", "5")), (("a", "d", "b"), ("4", "3")))
    assert disjoint_routes(edges, "a", "b", 1, costs.__getitem__) == ((("a", "c", "d", "b"), ("1", "2", "3")),)


def test_nothing_to_find() -> None:
    assert disjoint_routes([("1", "a", "c")], "a", "b", 2, lambda edge: 1.0) == ()
    assert disjoint_routes([("1", "a", "b")], "a", "b", 2, lambda edge: None) == ()
    assert disjoint_routes([("1", "a", "b")], "a", "a", 2, lambda edge: 1.0) == ()
