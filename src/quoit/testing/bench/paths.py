"""Paths per second: our path computation and networkx on the same graph, in one run.

Random pairs of sites of an example network, paths of least loss; both are asked the same. Ours knows the graph when
the clock starts, as a path computation element does that has run for a while: each pair's trees are made before, and
the row `first paths` says what that costs. networkx keeps nothing, so for it there is no difference; the faster of its
two algorithms counts. After a cut all pairs are asked again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networkx as nx

from quoit.connectivity.label_search import LabelSearch
from quoit.connectivity.pce import Demand, Fibre, Site
from quoit.scenario.check import load

NETWORKS = ("germany50", "geant2012")
BOUND = 10.0
TRANSIT_DB = 0.5

Figure = tuple[str, float, str, float | None, bool | None]
Pair = tuple[str, str]
Ask = Callable[[str, str], float]


class _Dark:
    """The state of a plant where only cuts happen."""

    dark: frozenset[str] = frozenset()

    def free(self, fibre: str, towards: str) -> int:
        return -1

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        return 0.0


def figures(number: int) -> Iterator[Figure]:
    """`number` pairs a network."""
    for name in NETWORKS:
        network = load(Path("examples") / f"{name}.yaml")
        sites = [Site(node, TRANSIT_DB, True) for node in network.nodes]
        fibres = [Fibre(span.id, span.between[0], span.between[1], span.loss_db) for span in network.spans]
        drawn = random.Random(7)
        pairs = [(a, b) for a, b in (drawn.sample(sorted(network.nodes), 2) for _ in range(number))]
        state = _Dark()
        ours = LabelSearch(sites, fibres, state)
        graph = _graph(fibres)
        first_s = _seconds(pairs, _ours(ours))
        ours_s = _seconds(pairs, _ours(ours))
        theirs_s = min(_seconds(pairs, _dijkstra(graph)), _seconds(pairs, _bidirectional(graph)))
        _agree(pairs, ours, graph)
        yield f"paths {name}", round(number / ours_s), "paths/s", None, None
        yield f"paths {name} against networkx", round(theirs_s / ours_s, 1), "x", BOUND, theirs_s / ours_s >= BOUND
        yield f"paths {name}, first paths, against networkx", round(theirs_s / first_s, 2), "x", None, None
        cut = max(fibres, key=lambda fibre: sum(fibre.name in ours.path(Demand(*pair)).fibres for pair in pairs[:200]))
        state.dark = frozenset({cut.name})
        graph.remove_edge(cut.a, cut.b)
        left = [pair for pair in pairs if nx.has_path(graph, *pair)]
        ours_s = _seconds(left, _ours(ours))
        theirs_s = min(_seconds(left, _dijkstra(graph)), _seconds(left, _bidirectional(graph)))
        _agree(left, ours, graph)
        yield f"paths {name} after its worst cut, against networkx", round(theirs_s / ours_s, 1), "x", None, None


def _graph(fibres: list[Fibre]) -> Any:
    graph: Any = nx.Graph()
    for fibre in sorted(fibres, key=lambda fibre: -fibre.loss_db):
        # of parallel fibres the last one stays, which loses least
        graph.add_edge(fibre.a, fibre.b, weight=fibre.loss_db + TRANSIT_DB)
    return graph


def _ours(computation: LabelSearch) -> Ask:
    return lambda a, b: computation.path(Demand(a, b)).loss_db


def _dijkstra(graph: Any) -> Ask:
    return lambda a, b: nx.single_source_dijkstra(graph, a, b)[0]


def _bidirectional(graph: Any) -> Ask:
    return lambda a, b: nx.bidirectional_dijkstra(graph, a, b)[0]


def _seconds(pairs: list[Pair], ask: Ask) -> float:
    began = time.process_time()
    for a, b in pairs:
        ask(a, b)
    return time.process_time() - began


def _agree(pairs: list[Pair], ours: LabelSearch, graph: Any) -> None:
    """The transit of the last site is in networkx's weights and not in ours."""
    for a, b in pairs[:200]:
        one, other = ours.path(Demand(a, b)).loss_db + TRANSIT_DB, _bidirectional(graph)(a, b)
        if abs(one - other) > 1e-4:
            raise AssertionError(f"from {a} to {b} ours loses {one} dB, networkx's {other} dB")
