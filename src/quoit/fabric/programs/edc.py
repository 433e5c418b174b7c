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

    def resolve(self, nodes: Iterable[str]) -> Resolved:
        """The set, split by anchor. Raises Refused that names every node which nobody knows."""
        wanted = sorted(set(nodes))
        by_anchor: dict[str, set[str]] = {}
        domains, unknown = set(), []
        for node in wanted:
            domain = self.domain_of(node)
            anchor = self._anchors.get(domain, {}).get(node) if domain is not None else None
            if domain is None:
                unknown.append(f"{node} (no domain has its prefix)")
            elif anchor is None:
                unknown.append(f"{node} (domain {domain} does not know it)")
            else:
                domains.add(domain)
                by_anchor.setdefault(anchor, set()).add(node)
        if unknown:
            raise Refused(f"expected nodes that an anchor serves, found {', '.join(unknown)}")
        split = {anchor: frozenset(found) for anchor, found in by_anchor.items()}
        return Resolved(split, frozenset(domains), 2 * len(wanted))
