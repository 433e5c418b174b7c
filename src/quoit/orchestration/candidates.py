"""Several ways from node to node, cheapest first (Yen, Management Science 17, 712 (1971)): no loops, and none twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from quoit.planes.graph import Graph

Way = tuple[tuple[str, ...], tuple[str, ...]]
"""Nodes and edges."""
Cost = Callable[[str], float | None]


def candidate_ways(
    edges: Sequence[tuple[str, str, str]],
    src: str,
    dst: str,
    cost: Cost,
    number: int,
    avoid: frozenset[str] = frozenset(),
) -> tuple[Way, ...]:
    """Up to `number` ways. `edges`: (edge, node, node); `cost(edge)` above 0, None: not usable. `avoid`: nodes that are
    not passed. Same input, same ways."""
    graph = Graph(edges)
    ends = {edge: (a, b) for edge, a, b in edges}
    if src not in graph or dst not in graph or src == dst:
        return ()

    def shut(banned: set[str] | frozenset[str], used: set[str]) -> Cost:
        return lambda edge: None if edge in used or not banned.isdisjoint(ends[edge]) else cost(edge)

    closed = avoid - {src, dst}
    first = graph.route(src, dst, shut(closed, set()))
    found: list[Way] = [] if first is None else [(tuple(first[0]), tuple(first[1]))]
    waiting: list[tuple[float, int, tuple[str, ...], Way]] = []
    known = set(found)
    while found and len(found) < number:
        nodes, links = found[-1]
        for i, spur in enumerate(nodes[:-1]):
            root = links[:i]
            used = {way[1][i] for way in found if way[1][:i] == root and len(way[1]) > i}
            rest = graph.route(spur, dst, shut(closed | set(nodes[:i]), used))
            if rest is None:
                continue
            way = (*nodes[:i], *rest[0]), (*root, *rest[1])
            if way not in known:
                known.add(way)
                heappush(waiting, (sum(cost(e) or 0.0 for e in way[1]), len(way[1]), way[1], way))
        if not waiting:
            break
        found.append(heappop(waiting)[3])
    return tuple(found)
