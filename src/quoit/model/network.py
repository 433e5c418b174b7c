"""A network as it is at one moment: immutable, indexed, comparable with what it was.

The snapshot says what there is and how it hangs together, never what the network does. A change is a new
snapshot; `diff` says what a controller has to touch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Protocol, TypeVar

from quoit.model.problem import Problem


@dataclass(frozen=True, slots=True)
class Node:
    """A site. `position`: (latitude, longitude) in degrees, None if it is not known."""

    name: str
    domain: str
    position: tuple[float, float] | None = None
    role: str = "trusted-node"


@dataclass(frozen=True, slots=True)
class Span:
    """A fibre between two nodes, without direction. `loss_db` is of the whole span."""

    name: str
    a: str
    b: str
    length_km: float
    loss_db: float


@dataclass(frozen=True, slots=True)
class Link:
    """A QKD link; the transmitter stands at `a`. `spans`: its fixed path in order, empty if control chooses one.

    `rate_bps`: the secret rate of a rated link, None where the protocol decides.
    """

    name: str
    a: str
    b: str
    protocol: str
    profile: str | None = None
    spans: tuple[str, ...] = ()
    capacity_bits: int | None = None
    rate_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Kme:
    """A key management entity at a node. `address`: host:port of its interfaces."""

    name: str
    node: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """An application entity attached to a KME. `rate_bps`: what was agreed, None for no limit."""

    sae_id: str
    urn: str
    kme: str
    rate_bps: float | None = None
    routable: bool = True

    @property
    def name(self) -> str:
        """What it is called among the parts of a network: its SAE ID."""
        return self.sae_id


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Edge(Protocol):
    @property
    def a(self) -> str: ...
    @property
    def b(self) -> str: ...


N = TypeVar("N", bound=_Named)
E = TypeVar("E", bound=_Edge)
Part = Node | Span | Link | Kme | Application


@dataclass(frozen=True)
class Network:
    """One snapshot. ValueError lists all faults: names that occur twice, references that lead nowhere.

    Two snapshots are equal if their parts are, in the same order.
    """

    nodes: tuple[Node, ...]
    spans: tuple[Span, ...] = ()
    links: tuple[Link, ...] = ()
    kmes: tuple[Kme, ...] = ()
    applications: tuple[Application, ...] = ()

    def __post_init__(self) -> None:
        faults = [*self._repeated(), *self._dangling()]
        faults = faults or list(self._broken_paths())  # a path is only followed where all its ends exist
        if faults:
            raise ValueError("; ".join(faults))

    def node(self, name: str) -> Node:
        """Problem `no-such-element` if there is none; so do the next three."""
        return _found(self._nodes, name, "node")

    def span(self, name: str) -> Span:
        return _found(self._spans, name, "span")

    def link(self, name: str) -> Link:
        return _found(self._links, name, "link")

    def kme(self, name: str) -> Kme:
        return _found(self._kmes, name, "KME")

    def application(self, sae_id: str) -> Application:
        """Problem `unknown-sae` if there is none."""
        found = self._applications.get(sae_id)
        if found is None:
            raise Problem("unknown-sae", f"expected an application of this network, found {sae_id!r}")
        return found

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains that nodes belong to, sorted."""
        return tuple(sorted({node.domain for node in self.nodes}))

    def spans_at(self, node: str) -> tuple[Span, ...]:
        """The fibres that end at a node."""
        return self._spans_at.get(self.node(node).name, ())

    def links_at(self, node: str) -> tuple[Link, ...]:
        """The QKD links that end at a node."""
        return self._links_at.get(self.node(node).name, ())

    def neighbours(self, node: str) -> tuple[str, ...]:
        """The nodes at the other ends of its QKD links, sorted, each once."""
        return _others(node, self.links_at(node))

    def fibre_neighbours(self, node: str) -> tuple[str, ...]:
        """The nodes at the other ends of its fibres, sorted, each once."""
        return _others(node, self.spans_at(node))

    def links_between(self, a: str, b: str) -> tuple[Link, ...]:
        """All links that join two nodes, in either direction."""
        return tuple(link for link in self.links_at(a) if {link.a, link.b} == {a, b})

    def kmes_at(self, node: str) -> tuple[Kme, ...]:
        """The KMEs of a node."""
        there = self.node(node).name
        return tuple(kme for kme in self.kmes if kme.node == there)

    def applications_of(self, kme: str) -> tuple[Application, ...]:
        """The applications that are attached to a KME."""
        there = self.kme(kme).name
        return tuple(app for app in self.applications if app.kme == there)

    @cached_property
    def parts(self) -> Mapping[tuple[str, str], Part]:
        """Everything by (kind, name), in the order node, span, link, kme, application."""
        return MappingProxyType({(kind, part.name): part for kind, group in self._groups() for part in group})

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return _index(self.nodes)

    @cached_property
    def _spans(self) -> dict[str, Span]:
        return _index(self.spans)

    @cached_property
    def _links(self) -> dict[str, Link]:
        return _index(self.links)

    @cached_property
    def _kmes(self) -> dict[str, Kme]:
        return _index(self.kmes)

    @cached_property
    def _applications(self) -> dict[str, Application]:
        return _index(self.applications)

    @cached_property
    def _spans_at(self) -> dict[str, tuple[Span, ...]]:
        return _by_end(self.spans)

    @cached_property
    def _links_at(self) -> dict[str, tuple[Link, ...]]:
        return _by_end(self.links)

    def _groups(self) -> tuple[tuple[str, tuple[Part, ...]], ...]:
        return (
            ("node", self.nodes),
            ("span", self.spans),
            ("link", self.links),
            ("kme", self.kmes),
            ("application", self.applications),
        )

    def _repeated(self) -> Iterator[str]:
        for kind, group in self._groups():
            for name, times in Counter(part.name for part in group).items():
                if times > 1:
                    yield f"{kind} {name!r}: expected each name once, found it {times} times"

    def _dangling(self) -> Iterator[str]:
        for kind, edges in (("span", self.spans), ("link", self.links)):
            for edge in edges:
                yield from self._bad_ends(f"{kind} {edge.name!r}", edge)
        for link in self.links:
            for span in link.spans:
                if span not in self._spans:
                    yield f"link {link.name!r}: expected a span of this network, found {span!r}"
        for kme in self.kmes:
            if kme.node not in self._nodes:
                yield f"kme {kme.name!r}: expected a node of this network, found {kme.node!r}"
        for app in self.applications:
            if app.kme not in self._kmes:
                yield f"application {app.name!r}: expected a KME of this network, found {app.kme!r}"

    def _bad_ends(self, what: str, edge: _Edge) -> Iterator[str]:
        for end in (edge.a, edge.b):
            if end not in self._nodes:
                yield f"{what}: expected a node of this network, found {end!r}"
        if edge.a == edge.b:
            yield f"{what}: expected two different ends, found {edge.a!r} twice"

    def _broken_paths(self) -> Iterator[str]:
        for link in self.links:
            at = link.a
            for span in (self._spans[name] for name in link.spans):
                if at not in (span.a, span.b):
                    yield f"link {link.name!r}: expected a span from {at!r} next, found {span.name!r}"
                    break
                at = span.b if at == span.a else span.a
            else:
                if link.spans and at != link.b:
                    yield f"link {link.name!r}: expected spans that lead to {link.b!r}, found them to end at {at!r}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two snapshots: (kind, name) of parts, each tuple in the order of `Network.parts`.

    `changed` has the attributes that differ as third member. A part that was renamed is removed and added.
    """

    added: tuple[tuple[str, str], ...]
    removed: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str, tuple[str, ...]], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff(old: Network, new: Network) -> Changes:
    """What to do to `old` to get `new`."""
    was, now = old.parts, new.parts
    return Changes(
        added=tuple(key for key in now if key not in was),
        removed=tuple(key for key in was if key not in now),
        changed=tuple(
            (*key, _differing(was[key], part)) for key, part in now.items() if key in was and was[key] != part
        ),
    )


def _differing(a: Part, b: Part) -> tuple[str, ...]:
    return tuple(f.name for f in fields(a) if getattr(a, f.name) != getattr(b, f.name))


def _index(parts: Iterable[N]) -> dict[str, N]:
    return {part.name: part for part in parts}


def _by_end(edges: Iterable[E]) -> dict[str, tuple[E, ...]]:
    ends: dict[str, list[E]] = {}
    for edge in edges:
        ends.setdefault(edge.a, []).append(edge)
        ends.setdefault(edge.b, []).append(edge)
    return {node: tuple(there) for node, there in ends.items()}


def _others(node: str, edges: Iterable[_Edge]) -> tuple[str, ...]:
    return tuple(sorted({edge.b if edge.a == node else edge.a for edge in edges}))


def _found(parts: Mapping[str, N], name: str, kind: str) -> N:
    part = parts.get(name)
    if part is None:
        raise Problem("no-such-element", f"expected a {kind} of this network, found {name!r}")
    return part
