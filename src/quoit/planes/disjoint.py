"""Several routes of least total cost that share no node between their ends (Suurballe, Networks 4, 125 (1974)).

Each further route is a cheapest augmenting path in the graph whose nodes are split in two and whose used edges run
backwards at their negative cost; costs are bent by potentials, so that Dijkstra's search stays right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

Half = tuple[str, bool]
"""A node's way in (False) or way out (True)."""
Step = tuple[Half, Half, str]
"""From one half to another over an edge; the inner edge of a node is named by the node itself."""

Route = tuple[tuple[str, ...], tuple[str, ...]]
"""Nodes and edges."""


def disjoint_routes(
    edges: Iterable[tuple[str, str, str]], src: str, dst: str, number: int, cost: Callable[[str], float | None]
) -> tuple[Route, ...]:
    """Up to `number` routes, cheapest sum first served; fewer if there are no more. `edges`: (edge, node, node);
    `cost(edge)` at least 0, None: not usable. The shortest route comes first. Same input, same routes."""
    price = {name: found for name, _, _ in edges if (found := cost(name)) is not None}
    usable = [(name, a, b) for name, a, b in edges if name in price]
    forward: dict[Half, list[tuple[Half, str]]] = {}
    for name, a, b in sorted(usable):
        for here, there in ((a, b), (b, a)):
            forward.setdefault((here, True), []).append(((there, False), name))
            forward.setdefault((there, False), [((there, True), there)])
    if src == dst or (dst, False) not in forward:
        return ()
    used: dict[Half, tuple[Half, str]] = {}
    back: dict[Half, tuple[Half, str]] = {}
    starts: list[tuple[Half, str]] = []
    potential: dict[Half, float] = {}
    for _ in range(number):
        way = _augment(forward, price, (src, True), (dst, False), used, back, starts, potential)
        if way is None:
            break
        _apply(way, (src, True), used, back, starts)
    return tuple(sorted((_follow(first, used, src, dst) for first in starts), key=lambda r: (len(r[1]), r[0])))


def _augment(
    forward: dict[Half, list[tuple[Half, str]]],
    price: dict[str, float],
    src: Half,
    dst: Half,
    used: dict[Half, tuple[Half, str]],
    back: dict[Half, tuple[Half, str]],
    starts: list[tuple[Half, str]],
    potential: dict[Half, float],
) -> list[Step] | None:
    """Dijkstra over what is unused, and over what is used against its direction."""
    best: dict[Half, float] = {}
    came: dict[Half, Step] = {}
    queue: list[tuple[float, int, Half, Step | None]] = [(0.0, 0, src, None)]
    while queue:
        total, hops, here, step = heappop(queue)
        if here in best:
            continue
        best[here] = total
        if step is not None:
            came[here] = step
        for there, name, paid in _open_steps(forward, price, here, src, used, back, starts):
            if there not in best:
                bent = paid + potential.get(here, 0.0) - potential.get(there, 0.0)
                heappush(queue, (total + max(0.0, bent), hops + 1, there, (here, there, name)))
    if dst not in best:
        return None
    farthest = best[dst]
    for half, total in best.items():
        potential[half] = potential.get(half, 0.0) + min(total, farthest)
    for half in forward:
        if half not in best:
            potential[half] = potential.get(half, 0.0) + farthest
    way, here = [], dst
    while here != src:
        way.append(came[here])
        here = came[here][0]
    return way[::-1]


def _open_steps(
    forward: dict[Half, list[tuple[Half, str]]],
    price: dict[str, float],
    here: Half,
    src: Half,
    used: dict[Half, tuple[Half, str]],
    back: dict[Half, tuple[Half, str]],
    starts: list[tuple[Half, str]],
) -> Iterable[tuple[Half, str, float]]:
    """(where to, by what, cost). A used step is only open backwards."""
    taken = set(starts) if here == src else {used[here]} if here in used else set()
    for there, name in forward.get(here, ()):
        if (there, name) not in taken and there[0] != src[0]:
            yield there, name, price.get(name, 0.0) if name != here[0] or there[0] != here[0] else 0.0
    before = back.get(here)
    if before is not None:
        there, name = before
        yield there, name, -price.get(name, 0.0) if there[0] != here[0] else 0.0


def _apply(
    way: list[Step],
    src: Half,
    used: dict[Half, tuple[Half, str]],
    back: dict[Half, tuple[Half, str]],
    starts: list[tuple[Half, str]],
) -> None:
    """Steps against a used one take it away; the others are used from now on."""
    undone = [(here, there, name) for here, there, name in way if back.get(here) == (there, name)]
    for here, there, name in undone:
        del back[here]
        if there == src:
            starts.remove((here, name))
        else:
            del used[there]
    for here, there, name in way:
        if (here, there, name) in undone:
            continue
        back[there] = (here, name)
        if here == src:
            starts.append((there, name))
        else:
            used[here] = (there, name)


def _follow(first: tuple[Half, str], used: dict[Half, tuple[Half, str]], src: str, dst: str) -> Route:
    here, name = first
    nodes, edges = [src, here[0]], [name]
    while here[0] != dst:
        there, name = used[here]
        if there[0] != here[0]:
            nodes.append(there[0])
            edges.append(name)
        here = there
    return tuple(nodes), tuple(edges)
