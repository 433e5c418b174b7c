"""The plant as a graph of whole numbers, with what computations keep of it: shortest-path trees and their paths.

Losses are counted in whole microdecibels: sums are the same in any order. A tree is made on the plant as built, once
for a sender. What changes later only takes fibres away, so its costs stay lower bounds, and its paths stay the best
as long as they are open.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from quoit.connectivity.pce import ComputedPath, Fibre, Site
from quoit.model.problem import Problem

MICRO = 1_000_000
"""Microdecibels in a decibel."""
FAR = 1 << 62
"""A cost that no path has."""
MAX_TREES = 1024
MAX_WAYS = 65_536


class Edge(NamedTuple):
    """A fibre as seen from one of its ends. `loss` in microdecibels."""

    fibre: int
    there: int
    loss: int
    latency: int


class Tree(NamedTuple):
    """Least cost from a root to every site, the last site's transit left out, and the last fibre of that way."""

    cost: list[int]
    last: list[int]


class Way(NamedTuple):
    """A path as built, without a channel; `things` are its fibres, risks and inner sites."""

    path: ComputedPath
    loss: int
    things: frozenset[str]


class PlantGraph:
    """Sites and fibres by number, and caches that only a new plant outdates."""

    def __init__(self, sites: Iterable[Site], fibres: Iterable[Fibre]) -> None:
        self.sites = list(sites)
        self.fibres = sorted(fibres, key=lambda fibre: fibre.name)
        self.number = {site.name: index for index, site in enumerate(self.sites)}
        self.transit = [round(site.transit_loss_db * MICRO) for site in self.sites]
        self.switch = [int(site.switch) for site in self.sites]
        self.loss = [round(fibre.loss_db * MICRO) for fibre in self.fibres]
        self.ends: list[tuple[int, int]] = []
        self.at: list[list[Edge]] = [[] for _ in self.sites]
        for index, fibre in enumerate(self.fibres):
            a, b = (self.numbered(end) for end in (fibre.a, fibre.b))
            self.ends.append((a, b))
            self.at[a].append(Edge(index, b, self.loss[index], fibre.latency_ns))
            self.at[b].append(Edge(index, a, self.loss[index], fibre.latency_ns))
        self.impassable = sum(1 << index for index, site in enumerate(self.sites) if not site.transit)
        self.amplified = frozenset(index for index, fibre in enumerate(self.fibres) if fibre.amplified)
        self._nothing = [0] * len(self.sites)
        self._trees: dict[tuple[int, str, bool], Tree] = {}
        self._ways: dict[tuple[int, int, str, bool], Way | None] = {}

    def numbered(self, site: str) -> int:
        """Raises Problem `unknown-site`."""
        found = self.number.get(site)
        if found is None:
            raise Problem("unknown-site", f"expected a site of the plant; found {site}", site=site)
        return found

    def tree(self, root: int, metric: str, quantum: bool) -> Tree:
        """`metric`: loss, latency or switches. `quantum`: without amplified fibres."""
        key = (root, metric, quantum)
        kept = self._trees.get(key)
        if kept is None:
            if len(self._trees) >= MAX_TREES:
                self._trees.clear()
            kept = self._trees[key] = self._grown(root, metric, self.amplified if quantum else frozenset())
        return kept

    def bound(self, root: int, metric: str, quantum: bool, limit: float) -> list[int]:
        """Least cost to every site; where nothing limits it, zero will do."""
        return self._nothing if limit == FAR else self.tree(root, metric, quantum).cost

    def way(self, a: int, b: int, objective: str, quantum: bool) -> Way | None:
        """The best path of the plant as built; None: there is none."""
        key = (a, b, objective, quantum)
        if key not in self._ways:
            if len(self._ways) >= MAX_WAYS:
                self._ways.clear()
            self._ways[key] = self._walked(a, b, self.tree(a, objective, quantum))
        return self._ways[key]

    def sites_along(self, a: int, fibres: Iterable[int]) -> list[int]:
        """The sites of a path that begins at `a`."""
        sites = [a]
        for index in fibres:
            one, other = self.ends[index]
            sites.append(other if one == sites[-1] else one)
        return sites

    def described(self, sites: list[int], fibres: list[int]) -> Way:
        """A path by its fibres."""
        inner = sites[1:-1]
        loss = sum(self.loss[index] for index in fibres) + sum(self.transit[index] for index in inner)
        latency = sum(self.fibres[index].latency_ns for index in fibres)
        names = tuple(self.fibres[index].name for index in fibres)
        risks = frozenset(risk for index in fibres for risk in self.fibres[index].risks)
        through = tuple(self.sites[index].name for index in sites)
        switches = sum(self.switch[index] for index in inner)
        path = ComputedPath(through, names, loss / MICRO, latency, switches, 0.0, None, None, risks)
        return Way(path, loss, frozenset((*names, *through[1:-1], *risks)))

    def _walked(self, a: int, b: int, tree: Tree) -> Way | None:
        if tree.cost[b] == FAR:
            return None
        sites, fibres = [b], []
        while sites[-1] != a:
            index = tree.last[sites[-1]]
            one, other = self.ends[index]
            fibres.append(index)
            sites.append(other if one == sites[-1] else one)
        return self.described(sites[::-1], fibres[::-1])

    def _grown(self, root: int, metric: str, without: frozenset[int]) -> Tree:
        """Dijkstra; ties by the other metric, then by fewer fibres."""
        cost, last = [FAR] * len(self.sites), [-1] * len(self.sites)
        by_loss, by_latency = metric == "loss", metric == "latency"
        queue = [(0, 0, 0, -1, root)]
        while queue:
            total, other, hops, by, here = heappop(queue)
            if cost[here] != FAR:
                continue
            cost[here], last[here] = total, by
            if here != root:
                if self.impassable >> here & 1:
                    continue
                if by_loss:
                    total += self.transit[here]
                elif by_latency:
                    other += self.transit[here]
                else:
                    total += self.switch[here]
            hops += 1
            for fibre, there, loss, latency in self.at[here]:
                if cost[there] != FAR or fibre in without:
                    continue
                if by_loss:
                    heappush(queue, (total + loss, other + latency, hops, fibre, there))
                elif by_latency:
                    heappush(queue, (total + latency, other + loss, hops, fibre, there))
                else:
                    heappush(queue, (total, 0, hops, fibre, there))
        return Tree(cost, last)
