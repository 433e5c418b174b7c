"""What control knows of links for entangled pairs and of the nodes they join, and what may be promised of pairs there.

Where attempts of a node cost what it stores, a promise allows for all attempts that the node's links can bear, and for
those that the engine counts sooner or later than they are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil, exp

from quoit.engine.program import WINDOW_NS, Circuit, Hop, State, fidelity_of
from quoit.fabric.programs.demand import Station
from quoit.fabric.programs.promises import EDGES, worst


@dataclass(frozen=True)
class PairLinkEntry:
    """A link as control knows it: its ends, what an attempt on it is like, how many circuits can share it."""

    link: str
    a: str
    b: str
    hop: Hop
    width: int


def cost_of(link: PairLinkEntry, stations: Mapping[str, Station]) -> float:
    """What a link costs on a path: what a pair loses of its eigenvalues, and waiting for success."""
    x, y, z = link.hop.state
    waits_s = link.hop.cycle_ns / link.hop.success * 1e-9
    rate = max(stations[n].decay.x_hz for n in (link.a, link.b))
    return (3 - x - y - z) / 4 + min(1.0, rate * waits_s) + 1e-6


def walk(head: str, links: Iterable[PairLinkEntry]) -> tuple[str, ...]:
    """Nodes of a path from `head` over these links in order. ValueError names a link that does not go on from there."""
    nodes = [head]
    for link in links:
        here = nodes[-1]
        if here not in (link.a, link.b):
            raise ValueError(f"{link.link} joins {link.a} and {link.b}, and the path before it ends at {here}")
        nodes.append(link.b if here == link.a else link.a)
    return tuple(nodes)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of each pair: eigenvalues that it has at least when it is delivered, and rates at which they fall
    while both halves wait."""

    state: State
    decay_hz: State

    @property
    def fidelity(self) -> float:
        """Of each pair when it is delivered, at least."""
        return fidelity_of(self.state)


class PairLinks:
    """All links for entangled pairs, and their nodes."""

    def __init__(self, entries: Iterable[PairLinkEntry], stations: Iterable[Station]) -> None:
        self.entries = {entry.link: entry for entry in entries}
        self.stations = {station.name: station for station in stations}
        # A circuit that hands halves over early is run so much sooner than the others, at most.
        light_ns = sum(entry.hop.light_ns for entry in self.entries.values())
        self._early_s = max(0, light_ns - WINDOW_NS // 2) * 1e-9

    def beside(self, node: str, links: tuple[str, ...]) -> Station:
        """A node as a circuit over these links finds it, if all other circuits that its links can bear are open: their
        attempts may cost what it stores."""
        station = self.stations[node]
        if not station.attempt_loss:
            return station
        entries = [entry for entry in self.entries.values() if node in (entry.a, entry.b)]
        free = [(entry.width - (entry.link in links), entry.hop.cycle_ns) for entry in entries]
        tries_hz = sum(width / cycle_ns for width, cycle_ns in free) * 1e9
        moved = ceil(2 / EDGES * tries_hz * self._early_s)  # beyond those of a window, sooner or later
        return replace(station, others_hz=tries_hz, others=sum(width for width, _ in free) + moved)

    def kept(self, nodes: tuple[str, ...], circuit: Circuit) -> Kept | None:
        """What a circuit between these nodes keeps; None where nothing is proved."""
        state = worst(circuit)
        if state is None:
            return None
        ends = circuit.nodes[0].decay, circuit.nodes[-1].decay
        tried = self._tried(nodes)
        a_hz, b_hz = (self._held(node)[1] for node in (nodes[0], nodes[-1]))
        x_hz, y_hz = ends[0].x_hz + ends[1].x_hz + a_hz + b_hz, ends[0].y_hz + ends[1].y_hz + a_hz + b_hz
        return Kept((state[0] * tried, state[1] * tried, state[2]), (x_hz, y_hz, ends[0].z_hz + ends[1].z_hz))

    def raised(self, nodes: tuple[str, ...], floor: float) -> float:
        """Fidelity that a circuit between these nodes must have so that `floor` is kept; may be above 1."""
        tried = self._tried(nodes)
        return floor if tried == 1 else (1 + (4 * floor - 1) / tried) / 4

    def lowered(self, nodes: tuple[str, ...], fidelity: float) -> float:
        """What is kept, at least, of a circuit between these nodes with this fidelity."""
        tried = self._tried(nodes)
        return fidelity if tried == 1 else (1 + (4 * fidelity - 1) * tried) / 4

    def _tried(self, nodes: tuple[str, ...]) -> float:
        """Factor on the coherence of a delivered pair for what attempts at its ends may cost at once."""
        return exp(-self._held(nodes[0])[0] - self._held(nodes[-1])[0])

    def _held(self, node: str) -> tuple[float, float]:
        """What attempts of a node cost pairs that it keeps when they have been delivered: at once, and per second."""
        loss = self.stations[node].attempt_loss
        if not loss:
            return 0.0, 0.0
        beside = self.beside(node, ())
        at_once = EDGES * beside.others + beside.others_hz * 2 * WINDOW_NS * 1e-9
        return loss * at_once, loss * beside.others_hz
