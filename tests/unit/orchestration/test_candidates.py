"""Candidate ways against all loop-free ways of small graphs."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.orchestration.candidates import Way, candidate_ways

NODES = "abcdef"
edges_of = st.lists(
    st.tuples(st.sampled_from(NODES), st.sampled_from(NODES), st.integers(1, 9)).filter(lambda e: e[0] != e[1]),
    min_size=1,
    max_size=10,
)


def all_ways(edges: list[tuple[str, str, str]], src: str, dst: str, avoid: frozenset[str]) -> Iterator[Way]:
    def on(nodes: tuple[str, ...], used: tuple[str, ...]) -> Iterator[Way]:
        if nodes[-1] == dst:
            yield nodes, used
            return
        for edge, a, b in edges:
            for here, there in ((a, b), (b, a)):
                if here == nodes[-1] and there not in nodes and (there == dst or there not in avoid):
                    yield from on((*nodes, there), (*used, edge))

    yield from on((src,), ())


@settings(max_examples=150, deadline=None)
@given(edges_of, st.integers(1, 8), st.sets(st.sampled_from("cd"), max_size=1))
def test_they_are_the_cheapest_of_all_ways(
    given_edges: list[tuple[str, str, int]], number: int, avoid: set[str]
) -> None:
    edges = [(f"e{i}", a, b) for i, (a, b, _) in enumerate(given_edges)]
    costs = {f"e{i}": float(cost) for i, (_, _, cost) in enumerate(given_edges)}
    closed = frozenset(avoid)
    found = candidate_ways(edges, "a", "b", costs.__getitem__, number, closed)
    everything = sorted(sum(costs[e] for e in way[1]) for way in all_ways(edges, "a", "b", closed))
    assert [sum(costs[e] for e in way[1]) for way in found] == everything[:number]
    assert len(set(found)) == len(found)
    assert set(found) <= set(all_ways(edges, "a", "b", closed))


def test_what_cannot_be_used_is_on_no_way() -> None:
    edges = [("ab", "a", "b"), ("ac", "a", "c"), ("cb", "c", "b")]
    shut: dict[str, float | None] = {"ab": None, "ac": 1.0, "cb": 1.0}
    assert candidate_ways(edges, "a", "b", shut.__getitem__, 4) == ((("a", "c", "b"), ("ac", "cb")),)
    assert candidate_ways(edges, "a", "z", shut.__getitem__, 4) == ()
    assert candidate_ways(edges, "a", "a", shut.__getitem__, 4) == ()
