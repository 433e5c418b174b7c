"""Links whose key comes of entangled pairs: their path over pair links, and whether it can keep what they need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points

from quoit.fabric.api import TRANSIT, OpenKeyCircuit
from quoit.fabric.links.profile import BUILT_IN, OVER_PAIRS, PROTOCOL_OF, Profile, with_overrides
from quoit.fabric.links.receiver import PairProtocol
from quoit.fabric.pair_links import cost_of, walk
from quoit.fabric.programs.demand import Demand, Refused
from quoit.planes.graph import Graph
from quoit.scenario.entanglement import EntanglementSide, span_finder
from quoit.scenario.schema import Link, NetworkFile
from quoit.scenario.yamlfile import Loc

DEFAULT_PROFILE: Mapping[str, str] = {
    "bb84-decoy": "bb84-gigahertz",
    "bbm92": "bbm92-cw",
    "bbm92-pairs": "bbm92-pairs",
    "e91-pairs": "e91-pairs",
    "cv-gg02": "cv-metro",
    "rated": "rated",
}
PROTOCOLS = "quoit.link_protocols"
"""Group of entry points."""


@dataclass(frozen=True)
class KeyPath:
    """Where a link's pairs come from: nodes from head to tail, pair links between them, fibre spans under these."""

    nodes: tuple[str, ...]
    over: tuple[str, ...]
    spans: tuple[str, ...]


def profile_of(network: NetworkFile, link: Link) -> Profile:
    """A link's device profile, as the file changes it. KeyError, ValueError for what is none."""
    name = link.profile or DEFAULT_PROFILE[link.protocol]
    body = network.profiles.get(name)
    if body is None:
        return BUILT_IN[name]
    return with_overrides(BUILT_IN[body["base"]], {k: v for k, v in body.items() if k != "base"})


def protocol_of(network: NetworkFile, link: Link) -> PairProtocol:
    """Both halves of the protocol of a link that takes pairs. ValueError for a profile that it cannot take."""
    profile = profile_of(network, link)
    if PROTOCOL_OF[type(profile)] != link.protocol:
        found = PROTOCOL_OF[type(profile)]
        raise ValueError(f"profile {link.profile} is for protocol {found}, and the link's is {link.protocol}")
    made: PairProtocol = {e.name: e for e in entry_points(group=PROTOCOLS)}[link.protocol].load()(profile)
    return made


class PairKeys:
    """The links of a network that need circuits."""

    def __init__(self, network: NetworkFile, side: EntanglementSide) -> None:
        self._n = network
        self._side = side
        self._spans_of = span_finder(network)
        self._pair_links = {link.id: link for link in network.pair_links}

    def path(self, link: Link) -> KeyPath:
        """As the file has it, else the one that costs pairs least. ValueError says where it breaks."""
        head, tail = link.between
        over = self._planned(link, head, tail) if link.over is None else tuple(link.over)
        nodes = walk(head, [self._side.links[name] for name in over])
        if nodes[-1] != tail or len(set(nodes)) < len(nodes):
            raise ValueError(
                f"expected a path from {head} to {tail} that meets each node once, found {' - '.join(nodes)}"
            )
        spans: list[str] = []
        for here, name in zip(nodes, over, strict=False):
            pair_link = self._pair_links[name]
            spans += self._spans(name)[:: 1 if pair_link.between[0] == here else -1]
        return KeyPath(nodes, over, tuple(dict.fromkeys(spans)))

    def _spans(self, pair_link: str) -> tuple[str, ...]:
        return self._spans_of(self._pair_links[pair_link])

    def apart(self) -> Counter[str]:
        """How many circuits of each pair link are for keys."""
        used: Counter[str] = Counter()
        for link in self._n.links:
            if link.protocol in OVER_PAIRS:
                used.update(dict.fromkeys(self.path(link).over, link.width or 1))
        return used

    def memories(self, link: Link) -> Counter[str]:
        """How many of each node's memories the link has for itself."""
        nodes, width = self.path(link).nodes, link.width or 1
        return Counter(dict.fromkeys(nodes, TRANSIT * width) | dict.fromkeys((nodes[0], nodes[-1]), width))

    def all_memories(self) -> Counter[str]:
        """How many of each node's memories are for keys."""
        return sum((self.memories(n) for n in self._n.links if n.protocol in OVER_PAIRS), Counter[str]())

    def _planned(self, link: Link, head: str, tail: str) -> tuple[str, ...]:
        entries, stations = self._side.links, self._side.known.stations
        graph = Graph((entry.link, entry.a, entry.b) for entry in entries.values())
        route = None
        if head in graph and tail in graph:
            enough = link.width or 1
            route = graph.route(
                head,
                tail,
                lambda name: cost_of(entries[name], stations) if entries[name].width >= enough else None,
            )
        if route is None:
            raise ValueError(
                f"no path of pair links with {link.width or 1} pairs each joins {head} and {tail}; add pair links, "
                "or raise their pairs"
            )
        return route[1]

    def circuit(self, link: Link, protocol: PairProtocol) -> OpenKeyCircuit:
        """What control is asked for."""
        head, tail = link.between
        floor = protocol.least_fidelity if link.fidelity is None else link.fidelity
        return OpenKeyCircuit(link.id, head, tail, self.path(link).over, floor, link.width or 1)

    def faults(self) -> Iterator[tuple[Loc, str]]:
        """What is wrong with links of a network that is whole otherwise."""
        used: Counter[str] = Counter()
        taken: Counter[str] = Counter()
        for i, link in enumerate(self._n.links):
            if link.protocol not in OVER_PAIRS:
                continue
            at: Loc = ("links", i)
            try:
                asked = self.circuit(link, protocol_of(self._n, link))
            except ValueError as fault:
                yield at, str(fault)
                continue
            spans = self.path(link).spans
            if self._n.plant.switches and len(spans) < sum(len(self._spans(name)) for name in asked.over):
                yield at, f"{', '.join(asked.over)} share a span, which is not modelled beside switches"
            for name in asked.over:
                used[name] += asked.width
                most = self._side.links[name].width
                if used[name] > most:
                    yield at, f"pair link {name} has {most} pairs, and links up to here need {used[name]}; raise them"
            taken.update(self.memories(link))
            for node in self.path(link).nodes:
                number = self._side.memories_of(node)
                if taken[node] > number:
                    yield (
                        at,
                        (
                            f"node {node} has {number} memories, and links up to here need {taken[node]}, those that "
                            f"pass it {TRANSIT} for each of their width; raise the number"
                        ),
                    )
            yield from self._refusal(at, link, asked)

    def _refusal(self, at: Loc, link: Link, asked: OpenKeyCircuit) -> Iterator[tuple[Loc, str]]:
        entries = [self._side.links[name] for name in asked.over]
        known = self._side.known
        stations = tuple(
            replace(known.beside(node, asked.over), memories=asked.width) for node in walk(asked.head, entries)
        )
        try:
            self._side.compiler.compile(Demand(stations, tuple(e.hop for e in entries), asked.fidelity))
        except Refused as refused:
            text = f"over {', '.join(asked.over)}: {refused}"
            if link.fidelity is None:
                text += f"; below {asked.fidelity:.4f} a pair leaves no key, give fidelity to take such pairs"
            yield at, text


def structure_faults(network: NetworkFile) -> Iterator[tuple[Loc, str]]:
    """Keys of links that are not for their protocol."""
    for i, link in enumerate(network.links):
        if link.protocol not in OVER_PAIRS:
            for key in ("over", "width", "fidelity"):
                if getattr(link, key) is not None:
                    known = " and ".join(sorted(OVER_PAIRS))
                    yield ("links", i, key), f"{key} is for protocols {known}, found {link.protocol!r}"
            continue
        if link.spans is not None:
            yield ("links", i, "spans"), f"{link.protocol} has no fibre of its own: name pair links with over"
        for key in ("spectrum", "drift"):
            if getattr(link, key) is not None:
                yield ("links", i, key), f"{link.protocol} has no light of its own; leave {key} out"
