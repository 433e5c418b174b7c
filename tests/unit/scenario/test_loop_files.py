"""Loops and works in network files: what is refused, and that none is made where none is named."""

from __future__ import annotations

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity.api import TESTER
from quoit.orchestration.loops.works import DrainLoop, WorksLoop
from quoit.planes.loop import ClosedLoop
from quoit.planes.loop_locks import LoopArbiter
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads

NETWORK = """
quoit: 1
name: net
nodes: {hub: {}, east: {}, west: {}}
spans:
  - {name: e, between: [hub, east], length: 10 km}
  - {name: w, between: [hub, west], length: 10 km}
plant:
  switches: [{node: hub}]
  channels: [{name: otn, from: hub, spans: [e], frequency: 194 THz, lit: false}]
  works: WORKS
links:
  - {name: to-east, between: [hub, east]}
  - {name: to-west, between: [hub, west]}
  - {name: from-west, between: [west, hub], spectrum: {frequency: 192.4 THz}}
"""


def network(loops: str = "{}", works: str = "[]", events: str = "[]") -> str:
    return NETWORK.replace("WORKS", works) + f"loops: {loops}\nevents: {events}\n"


def fault(text: str) -> str:
    with pytest.raises(NetworkFileFaults) as found:
        loads(text)
    return str(found.value)


def shared(what: str) -> str:
    return network(f"{{buffer: {{shared: [{what}]}}}}")


def elements(text: str) -> dict[str, object]:
    return {e.name: e for e in assemble(loads(text), Parts(lambda kme: MemoryStore())).kernel.elements}


def test_a_file_that_names_no_loop_has_none_and_no_arbiter() -> None:
    assert not [e for e in elements(network()).values() if isinstance(e, ClosedLoop | LoopArbiter)]


def test_each_link_has_its_own_loops_with_what_the_file_says() -> None:
    found = elements(network("{noise: {period: 2s, approval: true}, works: {lead: 5s}}"))
    loops = {name: e for name, e in found.items() if isinstance(e, ClosedLoop)}
    assert sorted(loops) == [f"loop.{k}:{n}" for k in ("noise", "works") for n in ("from-west", "to-east", "to-west")]
    plan = loops["loop.noise:to-east"].plan
    assert (plan.period_ns, plan.approval, plan.priority) == (2 * 10**9, True, 40)
    assert any(isinstance(e, LoopArbiter) for e in found.values())


def test_what_the_optical_network_restores_and_moves_has_no_loop_that_moves_it() -> None:
    text = network("{restore: {}, works: {}}").replace("plant:\n", "plant:\n  services: [{name: s, link: to-east}]\n")
    loops = {name: type(e) for name, e in elements(text).items() if isinstance(e, ClosedLoop)}
    assert {n for n in loops if "restore" in n} == {"loop.restore:from-west", "loop.restore:to-west"}
    assert {n for n, kind in loops.items() if kind is WorksLoop} == {"loop.works:from-west", "loop.works:to-west"}
    assert {n for n, kind in loops.items() if kind is DrainLoop} == {"loop.works:to-east"}


def test_works_loops_need_no_plant_since_all_networks_have_a_calendar() -> None:
    text = "quoit: 1\nname: n\nnodes: {a: {}, b: {}}\nspans: [{name: s, between: [a, b], length: 1 km}]\n"
    text += "links: [{name: l, between: [a, b]}]\nloops: {works: {}}\n"
    assert isinstance(elements(text)["loop.works:l"], WorksLoop)


DOMAINS = """
quoit: 1
name: net
domains: [{name: home, prefix: "urn:qkd:home"}, {name: far, prefix: "urn:qkd:far"}]
nodes: {a: {domain: home}, b: {domain: home}, x: {domain: far}, y: {domain: far}}
spans:
  - {name: ax, between: [a, x], length: 10 km}
  - {name: xy, between: [x, y], length: 10 km}
  - {name: yb, between: [y, b], length: 10 km}
links: [{name: l, between: [a, b], spans: [ax, xy, yb]}]
plant: {}
loops: {domains: {margin: 1 dB}}
"""


def test_each_domain_that_light_can_cross_has_a_loop_and_test_sets_are_there_for_them() -> None:
    found = elements(DOMAINS)
    assert sorted(n for n, e in found.items() if isinstance(e, ClosedLoop)) == ["loop.domain:far", "loop.domain:home"]
    assert TESTER in found
    assert TESTER not in elements(DOMAINS.replace("loops: {domains: {margin: 1 dB}}", ""))
    alone = DOMAINS.replace("  - {name: yb, between: [y, b], length: 10 km}\n", "").replace(
        "[a, b], spans: [ax, xy, yb]", "[a, x]"
    )
    assert "no domain has two nodes with spans to other domains" in fault(alone)
    assert "add a section plant" in fault(DOMAINS.replace("plant: {}\n", ""))
    assert "no domain is called 'fra'; did you mean 'far'?" in fault(
        DOMAINS + "events: [{at: 1s, overstate: {domain: fra, loss: 3 dB}}]\n"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (network("{noise: {period: 1ms}}"), "expected a period of 10 ms or more"),
        (network("{noise: {wavelengths: [15 nm]}}"), "expected wavelengths of 631 to 1665 nm"),
        (network("{noize: {}}"), "unknown key 'noize'; did you mean 'noise'?"),
        (network(works="[{name: dig, spans: [x], at: 1s, until: 2s}]"), "no span is called 'x'"),
        (network(works="[{name: dig, spans: [e], at: 3s, until: 2s}]"), "until must come after at"),
        (network(events="[{at: 1s, order: {channel: oth}}]"), "no channel is called 'oth'; did you mean 'otn'?"),
        (shared("{node: hub, links: [to-east]}"), "at least 2 items"),
        (shared("{node: hub, links: [to-east, to-wset]}"), "no link is called 'to-wset'"),
        (shared("{node: hub, links: [to-east, to-east]}"), "is named twice"),
        (shared("{node: hub, links: [to-east, from-west]}"), "one device does one"),
        (shared("{node: east, links: [to-east, to-west]}"), "no switch at 'east' could lend a device"),
        (shared("{node: hub, links: [to-east, to-west], low: 2 Mbit}"), "expected enough above low"),
        (
            shared("{node: hub, links: [to-east, to-west]}, {node: hub, links: [to-east, to-west]}"),
            "'hub' lends a device already",
        ),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    assert says in fault(text)
