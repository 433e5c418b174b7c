"""Entanglement-defined control: links between anchors are kept ready, and a demand only joins them.

After draft-cacciapuoti-qirg-quantum-internet-architecture and Cacciapuoti, Illiano, Caleffi on quantum addressing:
control sees an overlay of entangled (virtual) links between anchor nodes. Nodes between anchors swap at once, ahead of
demand. Anchors swap on demand, in halves as equal as possible, so that each pair of the ends takes one link of each
kind. A pair that waits is refreshed by a cut-off: it is discarded and made anew.

Of that architecture only what classical control can do is here: an address names a set of nodes, and resolving it
splits it by anchor. Addresses in superposition are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from quoit.engine.program import Swap
from quoit.fabric.programs.asap import keep_floor, promise_of
from quoit.fabric.programs.demand import Compiled, Demand, Refused
from quoit.fabric.programs.promises import balanced


class EntanglementDefined:
    """Compiler `edc`. `spacing`: hops from one anchor to the next; the last virtual link may be shorter."""

    keeps_ready = True
    """Its circuits may run ahead of demand."""

    def __init__(self, spacing: int = 2) -> None:
        if spacing < 1:
            raise ValueError(f"expected anchors 1 hop apart or more, found {spacing}")
        self.spacing = spacing

    def compile(self, demand: Demand) -> Compiled:
        """The circuit has no end, for its virtual links are kept ready: pairs come by `PairMachine.demand`. One link
        alone has nothing to keep ready. Raises Refused if even pairs that never wait are below the floor."""
        anchors = anchors_of(len(demand.links), self.spacing)
        rules = {number: Swap() for number in range(1, len(demand.links))}
        for middle, left, right in balanced(0, len(anchors) - 1):
            rules[anchors[middle]] = Swap(anchors[left], anchors[right], on_demand=True)
        circuit = demand.circuit(rules, demand.width)
        if rules:
            circuit = replace(circuit, wanted=None)
        demand.check_deadline()
        kept = keep_floor("edc", circuit, demand.floor)
        names = [station.name for station in demand.stations]
        home = {name: names[max(a for a in anchors if a <= number)] for number, name in enumerate(names)}
        virtual = [[names[a], names[b]] for a, b in pairwise(anchors)]
        return Compiled(kept, promise_of(kept), documents={"anchors": home, "virtual_links": virtual})


def anchors_within(nodes: Iterable[str], links: Iterable[tuple[str, str]], reach: int) -> dict[str, str]:
    """Node -> its anchor, at most `reach` links away: of those that are not served yet the node that serves most is the
    next anchor, the first by name of these. A node without a link of its own is its own anchor. Each node is served by
    its nearest anchor."""
    known = sorted(set(nodes))
    beside: dict[str, set[str]] = {node: set() for node in known}
    for a, b in links:
        if a in beside and b in beside:
            beside[a].add(b)
            beside[b].add(a)
    near = {node: _distances(node, beside, reach) for node in known}
    served: set[str] = set()
    anchors: list[str] = []
    while len(served) < len(known):
        anchors.append(max(known, key=lambda node: len(near[node].keys() - served)))
        served |= near[anchors[-1]].keys()
    return {node: min((near[a][node], a) for a in anchors if node in near[a])[1] for node in known}


def _distances(node: str, beside: Mapping[str, set[str]], reach: int) -> dict[str, int]:
    """Links to every node that is not farther than `reach`."""
    found, edge = {node: 0}, [node]
    for steps in range(1, reach + 1):
        edge = [there for here in edge for there in sorted(beside[here]) if there not in found]
        found.update(dict.fromkeys(edge, steps))
    return found


def anchors_of(hops: int, spacing: int) -> list[int]:
    """Numbers of the nodes that are anchors; both ends are."""
    inner = list(range(spacing, hops, spacing))
    if hops > 1 and not inner:
        inner = [hops // 2]
    return [0, *inner, hops]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a set of nodes is to control. `by_anchor`: anchor -> nodes behind it; `domains`: controllers that were
    asked; `lookups`: entries read in both tiers."""

    by_anchor: Mapping[str, frozenset[str]]
    domains: frozenset[str]
    lookups: int


class AnchorDirectory:
    """Two tiers of tables. The first maps URN prefixes (or whole identifiers) to domains, the longest match wins; the
    second, one a domain, maps identifiers of nodes to anchors."""

    def __init__(self, domains: Mapping[str, str], anchors: Mapping[str, Mapping[str, str]]) -> None:
        self._domains = dict(domains)
        self._anchors = {domain: dict(table) for domain, table in anchors.items()}

    def domain_of(self, node: str) -> str | None:
        """By the longest prefix that ends where a part of the name ends."""
        fits = [p for p in self._domains if node == p or node.startswith(p if p.endswith(":") else p + ":")]
        return self._domains[max(fits, key=len)] if fits else None

    def split(self, nodes: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The first tier: the set by domain. Raises Refused that names every node whose domain nobody knows."""
        found: dict[str, list[str]] = {}
        unknown = []
        for node in sorted(set(nodes)):
            domain = self.domain_of(node)
            if domain is None:
                unknown.append(f"{node} (no domain has its prefix)")
            else:
                found.setdefault(domain, []).append(node)
        _known(unknown)
        return {domain: tuple(own) for domain, own in found.items()}

    def inside(self, domain: str, nodes: Iterable[str]) -> dict[str, str]:
        """The second tier: node -> anchor, in one domain. Raises Refused that names every node it does not know."""
        table = self._anchors.get(domain, {})
        asked = sorted(set(nodes))
        _known([f"{node} (domain {domain} does not know it)" for node in asked if node not in table])
        return {node: table[node] for node in asked}

    def resolve(self, nodes: Iterable[str]) -> Resolved:
        """The set, split by anchor, by one who has the tables of both tiers. Raises Refused."""
        parts = self.split(nodes)
        by_anchor: dict[str, set[str]] = {}
        unknown = []
        for domain, own in parts.items():
            try:
                for node, anchor in self.inside(domain, own).items():
                    by_anchor.setdefault(anchor, set()).add(node)
            except Refused as refused:
                unknown.append(str(refused).removeprefix(_EXPECTED))
        _known(unknown)
        split = {anchor: frozenset(found) for anchor, found in by_anchor.items()}
        return Resolved(split, frozenset(parts), 2 * sum(len(own) for own in parts.values()))


_EXPECTED = "expected nodes that an anchor serves, found "


def _known(unknown: list[str]) -> None:
    if unknown:
        raise Refused(_EXPECTED + ", ".join(unknown))
