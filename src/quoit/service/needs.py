"""Which links key is needed of: demands placed on the rates of links. Pure reckoning (D4, C5).

A demand is what a session was promised, over so many routes at once, or what is asked of a stream of key, which the
fabric moves over one route after the other as their pools run out. Links have the rates that the fabric reported of
them. Demands are placed one after the other, by their priority, each on the shortest routes that have rate left.

Named approximation: one after the other is not the best placing there is; key may be called missing that another
placing would have found. A link too many is asked for then, never one too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quoit.planes.disjoint import Route, disjoint_routes

USABLE = 0.9
"""Share of a link's rate that is counted on: tags cost key too, and a block can be a poor one."""


@dataclass(frozen=True)
class Demand:
    """Key wanted between two nodes, bit/s. Of a session: all of it over each of `paths` routes without common nodes, or
    nothing. Of a stream (`paths` 0): as much as there is, over any routes. The higher `priority` is placed first."""

    name: str
    src: str
    dst: str
    bps: float
    paths: int = 0
    priority: int = -1


@dataclass(frozen=True)
class Source:
    """A link as Service knows it: its ends, and the bit/s that it makes, or made when it last did."""

    a: str
    b: str
    bps: float


class _Supply:
    """What links have left."""

    def __init__(self, links: Mapping[str, Source]) -> None:
        self._left = {name: source.bps * USABLE for name, source in links.items()}
        self._edges = [(name, source.a, source.b) for name, source in sorted(links.items())]

    def _routes(self, demand: Demand, number: int, least: float) -> tuple[Route, ...]:
        def cost(link: str) -> float | None:
            return 1.0 if self._left[link] > 0 and self._left[link] >= least else None

        return disjoint_routes(self._edges, demand.src, demand.dst, number, cost)

    def promise(self, demand: Demand) -> float:
        """Set a session's rate aside; what is missing of it, bit/s."""
        routes = self._routes(demand, demand.paths, demand.bps)
        if len(routes) < demand.paths:
            return demand.bps
        for link in (link for _, used in routes for link in used):
            self._left[link] -= demand.bps
        return 0.0

    def give(self, demand: Demand) -> float:
        """Give a stream what there is; what is missing, bit/s. Each turn empties a link, so turns end."""
        missing = demand.bps
        while missing > 0 and (found := self._routes(demand, 1, 0.0)):
            links = found[0][1]
            part = min(missing, *(self._left[link] for link in links))
            for link in links:
                self._left[link] -= part
            missing -= part
        return missing


def missing(demands: Iterable[Demand], links: Mapping[str, Source]) -> dict[str, int]:
    """What these links leave each demand without, whole bit/s, in the order in which demands are placed."""
    supply = _Supply(links)
    placed = sorted(demands, key=lambda d: (-d.priority, d.name))
    return {d.name: round(supply.promise(d) if d.paths else supply.give(d)) for d in placed}


def needed(
    demands: Iterable[Demand], up: Mapping[str, Source], out: Mapping[str, Source]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Of the links that are `out` those that must come back, the one with the highest rate first; and what is missing
    for the lack of them. A demand that comes first in the placing counts for more than all after it. No link of them
    can be left out without a demand having less."""
    demands = tuple(demands)
    lacking = missing(demands, up)
    least = tuple(missing(demands, {**up, **out}).values())
    if least >= tuple(lacking.values()):
        return (), lacking
    wanted = dict(out)
    for name in sorted(out, key=lambda link: (out[link].bps, link)):
        fewer = {link: source for link, source in wanted.items() if link != name}
        if tuple(missing(demands, {**up, **fewer}).values()) <= least:
            wanted = fewer
    return tuple(sorted(wanted, key=lambda link: (-wanted[link].bps, link))), lacking
