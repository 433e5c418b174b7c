"""Least-cost paths over a small graph whose edges have names. Control planes of all strata route with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush


class Graph:
    """Undirected graph with named edges; parallel edges allowed."""

    def __init__(self, edges: Iterable[tuple[str, str, str]] = ()) -> None:
        """`edges`: (edge, node, node)."""
        self._at: dict[str, list[tuple[str, str]]] = {}
        for edge, a, b in edges:
            self._at.setdefault(a, []).append((edge, b))
            self._at.setdefault(b, []).append((edge, a))
        for found in self._at.values():
            found.sort()

    def __contains__(self, node: str) -> bool:
        return node in self._at

    def route(
        self, src: str, dst: str, cost: Callable[[str], float | None]
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """(nodes, edges) of the cheapest route, or None. `cost(edge)` None: not usable. Ties go to the
        fewest edges, then to the first by name, so that every process finds the same route."""
        queue: list[tuple[float, int, tuple[str, ...], tuple[str, ...]]] = [(0.0, 0, (), (src,))]
        done: set[str] = set()
        while queue:
            total, hops, edges, nodes = heappop(queue)
            here = nodes[-1]
            if here == dst:
                return nodes, edges
            if here in done:
                continue
            done.add(here)
            for edge, there in self._at.get(here, ()):
                price = cost(edge)
                if there not in done and price is not None:
                    heappush(queue, (total + price, hops + 1, (*edges, edge), (*nodes, there)))
        return None

    def distances(self, src: str, length: Callable[[str], int], until: str | None = None) -> dict[str, int]:
        """Length of the shortest route from `src` to every node that can be reached; with `until`, to those
        that are no farther than it. Whole numbers, so that both directions of a route are equally long."""
        found: dict[str, int] = {}
        queue: list[tuple[int, str]] = [(0, src)]
        while queue:
            total, here = heappop(queue)
            if here in found:
                continue
            found[here] = total
            if here == until:
                break
            for edge, there in self._at.get(here, ()):
                if there not in found:
                    heappush(queue, (total + length(edge), there))
        return found
