"""Workloads that several simulators can run: pairs over given paths, and the same as circuits of quoit.

A hop has a station in its middle that succeeds with half of the pairs whose photons both arrive (linear optics); light
travels at 2e8 m/s. Each path has memories of its own, one on either side of a node.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from quoit.engine.program import Circuit, Decay, Hop, Node, Swap, werner_state

LIGHT_M_PER_S = 2e8
LINEAR_OPTICS = 0.5


@dataclass(frozen=True)
class Workload:
    """`paths`: nodes of each request. `fidelity`: of a heralded pair, which is a Werner state. `coherence_s`: one over
    the rate of all Pauli errors of a memory together (None: it keeps). `cycle_ns`: from one attempt to the next."""

    paths: tuple[tuple[int, ...], ...]
    hop_m: float
    coherence_s: float | None
    cycle_ns: int
    seconds: float = 1.0
    loss_db_per_m: float = 0.2e-3
    detector: float = 0.9
    fidelity: float = 0.99
    seed: int = 1

    @property
    def success(self) -> float:
        """Probability that an attempt succeeds: either photon has half of the hop to go."""
        arrives: float = 10 ** (-self.loss_db_per_m * self.hop_m / 2 / 10) * self.detector
        return LINEAR_OPTICS * arrives**2

    @property
    def light_ns(self) -> int:
        """One way over a hop."""
        return round(self.hop_m / LIGHT_M_PER_S * 1e9)

    def lasting(self, seconds: float) -> Workload:
        """The same for so many simulated seconds."""
        return replace(self, seconds=seconds)

    def told(self) -> dict[str, Any]:
        """For peers, as JSON has it."""
        return asdict(self) | {"success": self.success}

    def circuits(self, nested: bool) -> list[Circuit]:
        """With SeQUeNCe's policy and handshake, or swapping as soon as both sides have a pair."""
        decay = Decay() if self.coherence_s is None else Decay.pauli(1 / self.coherence_s)
        found = []
        for path in self.paths:
            rules = [self._nested(i, len(path) - 1) if nested else Swap() for i in range(1, len(path) - 1)]
            nodes = [Node(decay), *(Node(decay, rule) for rule in rules), Node(decay)]
            hops = tuple(self._hop(a, b, nested) for a, b in pairwise(path))
            found.append(Circuit(tuple(nodes), hops))
        return found

    def _hop(self, a: int, b: int, nested: bool) -> Hop:
        """SeQUeNCe's left node asks as soon as its own memory is free, and either end may lead the attempt: the one
        whose name sorts later, letter by letter. If that is the left one, its word has to go over the hop once more.
        In a cycle of one way there is no time for all that."""
        cycle_ns, asks_ns = self.cycle_ns, 0
        if nested and cycle_ns >= 2 * self.light_ns:
            asks_ns = self.light_ns
            cycle_ns += self.light_ns if named(a) > named(b) else 0
        return Hop(self.light_ns, self.success, cycle_ns, werner_state(self.fidelity), asks_ns=asks_ns)

    def _nested(self, i: int, hops: int) -> Swap:
        """A request to both ends and their answers come before the swap: two ways over the longer side."""
        left, right = nested_reach(i, hops)
        return Swap(left, right, wait_ns=2 * max(i - left, right - i) * self.light_ns)


def named(node: int) -> str:
    """As SeQUeNCe knows a node; which name sorts later decides who leads an attempt."""
    return f"n{node}"


def nested_reach(i: int, hops: int) -> tuple[int, int]:
    """Where the pairs that node i of a path joins must end: each round, every other of the nodes that are left swaps,
    the last one never. So does SeQUeNCe, whatever the number of hops."""
    left = list(range(hops + 1))
    while left.index(i) % 2 == 0:
        left = [n for place, n in enumerate(left) if place % 2 == 0 or n == hops]
    place = left.index(i)
    return left[place - 1], left[place + 1]


def chain(nodes: int, coherence_s: float | None = 1.0, cycle_ns: int = 400_000) -> Workload:
    """A request from end to end of a line with hops of 20 km."""
    return Workload((tuple(range(nodes)),), 20e3, coherence_s, cycle_ns)


def network(nodes: int, requests: int, seed: int = 1) -> Workload:
    """Requests over 2 to 5 hops of 30 km in a random connected graph of mean degree 2.5."""
    neighbours = graph(nodes, round(1.25 * nodes), seed)
    dice = random.Random(seed)
    paths: list[tuple[int, ...]] = []
    while len(paths) < requests:
        tree = shortest(neighbours, dice.randrange(nodes))
        hops = dice.randint(2, 5)
        reached = [path for path in tree if len(path) == hops + 1]
        if reached:
            paths.append(dice.choice(reached))
    return Workload(tuple(paths), 30e3, 10.0, 600_000)


def graph(nodes: int, edges: int, seed: int) -> list[list[int]]:
    """Neighbours of each node: a random tree, and random edges besides."""
    dice = random.Random(seed)
    pairs = {(dice.randrange(n), n) for n in range(1, nodes)}
    while len(pairs) < edges:
        a, b = sorted(dice.sample(range(nodes), 2))
        pairs.add((a, b))
    neighbours: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in sorted(pairs):
        neighbours[a].append(b)
        neighbours[b].append(a)
    return neighbours


def shortest(neighbours: list[list[int]], source: int) -> list[tuple[int, ...]]:
    """A shortest path from the source to each node, nearest first."""
    paths: dict[int, tuple[int, ...]] = {source: (source,)}
    waiting = deque([source])
    while waiting:
        here = waiting.popleft()
        for n in neighbours[here]:
            if n not in paths:
                paths[n] = (*paths[here], n)
                waiting.append(n)
    return list(paths.values())
