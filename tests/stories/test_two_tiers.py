"""An entanglement-defined controller resolves the nodes of a request over two tiers: domains, then anchors inside."""

from __future__ import annotations

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.anchors import anchor_table
from quoit.fabric.api import PAIR_CONTROLLER, ResolveNodes
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from shared_states import Array, events_of, ghz, network, play, truths

DOMAINS = ("north", "south", "far")
NODES = {"n1": "north", "n2": "north", "n3": "north", "s1": "south", "s2": "south", "s3": "south", "f1": "far"}
EDGES = [("n1", "n2"), ("n2", "n3"), ("n2", "s2"), ("s1", "s2"), ("s2", "s3"), ("s3", "f1")]
TEXT = (
    "quoit: 1\nname: tiers\ndomains:\n"
    + "".join(f'  - {{name: {d}, prefix: "urn:qkd:{d}"}}\n' for d in DOMAINS)
    + "nodes:\n"
    + "".join(f"  {n}: {{domain: {d}, memories: {{number: 12, t2: 5 s}}}}\n" for n, d in NODES.items())
    + "spans:\n"
    + "".join(f"  - {{between: [{a}, {b}], length: 2 km}}\n" for a, b in EDGES)
    + "pair_links:\n"
    + "".join(f"  - {{between: [{a}, {b}], success: 0.2, fidelity: 0.99, pairs: 8}}\n" for a, b in EDGES)
    + "applications:\n"
    + "".join(f"  - {{sae: at-{n}, kme: kme-{n}}}\n" for n in ("n1", "n3", "s1", "f1"))
    + "policies: {pair_compiler: COMPILER}\n"
)


def text(compiler: str) -> str:
    return TEXT.replace("COMPILER", compiler)


@pytest.mark.realises("D1", "D2")
def test_a_request_is_resolved_by_domain_and_then_by_anchor_and_meets_at_one() -> None:
    """Three parties in two of three domains: control asks the tables of these two alone, each for its own nodes, and
    the state is put together at an anchor. What comes is a GHZ state of the promised fidelity."""
    net = network(text("edc"))
    events = events_of(net)
    apps = [net.application(f"at-{name}") for name in ("n1", "n3", "s1")]

    async def story() -> float:
        unit = await apps[0].request(["at-n3", "at-s1"], fidelity=0.8)
        units = [unit, *[await app.next_unit() for app in apps[1:]]]
        target: Array = ghz(3)
        (fidelity,) = truths(net, units, target)
        assert fidelity >= (unit.fidelity or 1) >= 0.8
        return fidelity

    play(story())
    resolved = [e.fields for e in events if e.event == "nodes.resolved"]
    assert resolved
    for fields in resolved:
        assert fields["domains"] == ["north", "south"]
        assert fields["anchors"] == {"north:n1": "n2", "north:n3": "n2", "south:s1": "s2"}
        assert fields["lookups"] == 6
    asked = {(e.fields["domain"], tuple(e.fields["nodes"])) for e in events if e.event == "anchors.found"}
    assert asked == {("north", ("north:n1", "north:n3")), ("south", ("south:s1",))}
    opened = [e.fields["nodes"] for e in events if e.event == "circuit.opened"]
    assert len(opened) == 3
    assert set.intersection(*(set(nodes) & {nodes[0], nodes[-1]} for nodes in opened)) <= {"n2", "s2"}


def test_other_compilers_resolve_nothing() -> None:
    net = network(text("asap"))
    events = events_of(net)
    play(net.application("at-n1").request(["at-n3", "at-s1"], fidelity=0.8))
    assert not [e for e in events if e.event in ("nodes.resolved", "anchors.found")]


def test_where_no_anchor_would_do_any_node_may_be_the_centre() -> None:
    """Anchors n2 and s2 have room for no state of three parties: the state meets elsewhere, as with other compilers."""
    small = text("edc")
    for node, domain in (("n2", "north"), ("s2", "south")):
        small = small.replace(
            f"{node}: {{domain: {domain}, memories: {{number: 12", f"{node}: {{domain: {domain}, memories: {{number: 2"
        )
    for a, b in (("n1", "n3"), ("n3", "s1")):
        small = small.replace("spans:\n", f"spans:\n  - {{between: [{a}, {b}], length: 2 km}}\n")
        small = small.replace(
            "pair_links:\n", f"pair_links:\n  - {{between: [{a}, {b}], success: 0.2, fidelity: 0.99}}\n"
        )
    net = network(small)
    events = events_of(net)
    unit = play(net.application("at-n1").request(["at-n3", "at-s1"], fidelity=0.8))[0]
    assert unit.state == "established"
    assert [e for e in events if e.event == "nodes.resolved"]


def test_who_is_not_known_is_named_by_the_tier_that_does_not_know_it() -> None:
    twin = assemble(loads(text("edc")), Parts(lambda kme: MemoryStore(), 1))
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(10**9)
    with pytest.raises(Problem, match=r"west:x \(no domain has its prefix\)") as unknown:
        world.ask(PAIR_CONTROLLER, ResolveNodes(("north:n1", "west:x")))
    assert unknown.value.code == "no-route"
    with pytest.raises(Problem, match=r"south:x \(domain south does not know it\)"):
        world.ask(PAIR_CONTROLLER, ResolveNodes(("north:n1", "south:x")))
    tables = {e.name: e for e in twin.kernel.elements if e.name.startswith("anchors:")}
    assert set(tables) == {anchor_table(domain) for domain in DOMAINS}
    assert [tables[anchor_table(domain)].place for domain in DOMAINS] == ["n1", "s1", "f1"]
