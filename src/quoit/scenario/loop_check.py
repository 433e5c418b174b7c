"""What a schema cannot see of a network file's closed loops: unknown names, devices that nothing switches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from quoit.scenario import schema
from quoit.scenario.yamlfile import Loc

Found = Iterator[tuple[Loc, str]]
Unknown = Callable[[Loc, str, str, Iterable[str]], Found]
"""A fault with a hint, if a name is none of those known."""


def check_loops(n: schema.NetworkFile, unknown: Unknown) -> Found:
    """All faults of loops."""
    pair_links = [link.id for link in n.pair_links]
    for i, event in enumerate(n.events):
        if event.misalign is not None:
            yield from unknown(("events", i, "misalign", "link"), "pair link", event.misalign.link, pair_links)
        if event.overstate is not None:
            domains = sorted({n.domain_of(node) for node in n.nodes})
            yield from unknown(("events", i, "overstate", "domain"), "domain", event.overstate.domain, domains)
            if not n.has_plant:
                yield ("events", i, "overstate"), "no controller of an optical domain is here; add a section plant"
    loop = n.loops.buffer
    for i, device in enumerate(loop.shared if loop is not None else ()):
        yield from _check_shared(n, unknown, ("loops", "buffer", "shared", i), device)
    if n.loops.fidelity is not None and not n.pair_links:
        yield ("loops", "fidelity"), "this network has no pair_links, which is what the loop watches; leave it out"
    if loop is not None:
        yield from _check_shared_once(loop)
    if n.loops.domains is not None:
        yield from _check_domains(n)


def _check_domains(n: schema.NetworkFile) -> Found:
    at = ("loops", "domains")
    if not n.has_plant:
        yield at, "routes over domains are the optical network's; add a section plant"
    if not any(len(nodes) > 1 for nodes in borders_of(n).values()):
        yield (
            at,
            "no domain has two nodes with spans to other domains, so no way across one can be tested; leave it out",
        )


def borders_of(n: schema.NetworkFile) -> dict[str, tuple[str, ...]]:
    """Nodes of each domain at which spans to other domains end; of names that are unknown, none."""
    found: dict[str, set[str]] = {}
    for span in n.spans:
        if not set(span.between) <= n.nodes.keys():
            continue
        here, there = (n.domain_of(node) for node in span.between)
        if here != there:
            found.setdefault(here, set()).add(span.between[0])
            found.setdefault(there, set()).add(span.between[1])
    return {domain: tuple(sorted(nodes)) for domain, nodes in sorted(found.items())}


def _check_shared(n: schema.NetworkFile, unknown: Unknown, at: Loc, device: schema.SharedSection) -> Found:
    yield from unknown((*at, "node"), "node", device.node, n.nodes)
    if device.node in n.nodes and device.node not in {switch.node for switch in n.plant.switches}:
        yield (*at, "node"), f"no switch at {device.node!r} could lend a device; add one to plant.switches"
    links = {link.id: link for link in n.links}
    for k, name in enumerate(device.links):
        yield from unknown((*at, "links", k), "link", name, links)
        if name in device.links[:k]:
            yield (*at, "links", k), f"{name!r} is named twice; leave one out"
        if name in links and device.node in n.nodes and device.node not in links[name].between:
            ends = " and ".join(repr(end) for end in links[name].between)
            yield (*at, "links", k), f"expected links that end at {device.node!r}, found {name!r} between {ends}"
    ends_there = {links[name].between.index(device.node) for name in device.links
                  if name in links and device.node in links[name].between}  # fmt: skip
    if len(ends_there) > 1:
        yield (*at, "links"), "expected links that all send from the node, or all receive there: one device does one"


def _check_shared_once(loop: schema.BufferSection) -> Found:
    seen: dict[tuple[str, str], int] = {}
    for i, device in enumerate(loop.shared):
        for k, name in enumerate(device.links):
            if seen.setdefault((device.node, name), i) != i:
                yield (
                    ("loops", "buffer", "shared", i, "links", k),
                    f"{name!r} has a shared device at {device.node!r} already; put its links together",
                )
    nodes = [device.node for device in loop.shared]
    for i, node in enumerate(nodes):
        if node in nodes[:i]:
            yield (
                ("loops", "buffer", "shared", i, "node"),
                f"{node!r} lends a device already; a node has one at most",
            )
