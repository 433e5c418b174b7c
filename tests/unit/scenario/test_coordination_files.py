"""The switch of a network file that says who coordinates with Connectivity: what it becomes, and what is refused."""

from __future__ import annotations

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.coordination import FabricCoordinator
from quoit.planes.loop_locks import LoopArbiter
from quoit.runtime.element import Element, Plane, Stratum
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import NetworkFileFaults, loads
from quoit.service.coordination import ServiceCoordinator

NETWORK = """
quoit: 1
name: two-ways
nodes: {a: {}, b: {}, c: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: ac, between: [a, c], length: 10 km}
  - {name: cb, between: [c, b], length: 10 km}
plant: PLANT
links:
  - {name: ab, between: [a, b], spans: [ab], spectrum: {frequency: 193.4 THz, isolation: 90 dB}}
  - {name: ac, between: [a, c], spans: [ac], protocol: rated, rate: 10 kbit/s}
"""


def network(coordination: str, plant: str = "{}", more: str = "") -> str:
    return NETWORK.replace("PLANT", plant) + (f"coordination: {coordination}\n" if coordination else "") + more


def elements(text: str) -> list[Element]:
    return assemble(loads(text), Parts(lambda kme: MemoryStore())).kernel.elements


def coordinators(text: str) -> list[Element]:
    return [e for e in elements(text) if isinstance(e, FabricCoordinator | ServiceCoordinator)]


def fault(text: str) -> str:
    with pytest.raises(NetworkFileFaults) as found:
        loads(text)
    return str(found.value)


def test_a_file_that_does_not_say_has_neither_and_no_locks() -> None:
    found = elements(network(""))
    assert not [e for e in found if isinstance(e, FabricCoordinator | ServiceCoordinator | LoopArbiter)]


@pytest.mark.realises("D4")
@pytest.mark.parametrize(
    ("by", "kind", "stratum"),
    [("fabric", FabricCoordinator, Stratum.FABRIC), ("service", ServiceCoordinator, Stratum.SERVICE)],
)
def test_each_choice_has_its_coordinator_in_its_own_stratums_control(
    by: str, kind: type[Element], stratum: Stratum
) -> None:
    text = network(f"{{by: {by}, wavelengths: [1310 nm], most_loss: 4 dB, lead: 5s, budget: 2, priority: 70}}")
    (found,) = coordinators(text)
    assert isinstance(found, FabricCoordinator | ServiceCoordinator)
    assert (type(found), found.stratum, found.plane) == (kind, stratum, Plane.CONTROL)
    plan = found.plan
    assert (plan.more_loss_db, plan.lead_ns, plan.budget, plan.priority) == (4.0, 5 * 10**9, 2, 70)
    # 1310 nm is 228.8492 THz; paths are computed on the raster of 6.25 GHz.
    assert plan.centres_mhz == (228_850_000,)
    assert [(link.link, link.noisy, link.isolation_db) for link in plan.links] == [
        ("ab", True, 90.0),
        ("ac", False, 100.0),
    ]
    assert sum(isinstance(e, LoopArbiter) for e in elements(text)) == 1


def test_loops_and_a_coordinator_share_one_arbiter() -> None:
    found = elements(network("{by: fabric}", more="loops: {restore: {}}\n"))
    assert sum(isinstance(e, LoopArbiter) for e in found) == 1


def test_what_the_optical_network_keeps_is_known_to_be_kept() -> None:
    (found,) = coordinators(network("{by: fabric}", "{services: [{name: s, link: ab}]}"))
    assert isinstance(found, FabricCoordinator)
    assert [(link.link, link.kept) for link in found.plan.links] == [("ab", True), ("ac", False)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (network("{}"), "coordination.by: the key 'by' is missing; add it"),
        (network("{by: both}"), "'fabric' or 'service'"),
        (network("fabric"), "coordination: "),
        (network("{by: fabric, waves: [1310 nm]}"), "unknown key 'waves'; did you mean 'wavelengths'?"),
        (network("{by: fabric, wavelengths: [15 nm]}"), "expected wavelengths of 631 to 1665 nm, found 15 nm"),
        (network("{by: fabric, lead: 20}"), "expected a number with a unit"),
        (network("{by: fabric, cooldown: 1ms}"), "expected a cooldown of 10 ms or more"),
        (network("{by: fabric, budget: 0}"), "greater than or equal to 1"),
        (network("{by: fabric, priority: 101}"), "less than or equal to 100"),
        (network("{by: fabric}").replace("plant: {}\n", ""), "add a section plant, be it empty"),
        (network("{by: service}", more="policies: {control: external}\n"), "the fabric is controlled from outside"),
    ],
)
def test_what_is_refused_says_what_was_expected(text: str, says: str) -> None:
    assert says in fault(text)


def test_a_network_without_light_of_its_own_has_nothing_to_coordinate() -> None:
    text = """
quoit: 1
name: pairs
nodes:
  a: {memories: {number: 4, t2: 1s}}
  b: {memories: {number: 4, t2: 1s}}
spans: [{name: ab, between: [a, b], length: 10 km}]
pair_links: [{name: p, between: [a, b], success: 0.05, fidelity: 0.97}]
links: [{name: l, between: [a, b], protocol: bbm92-pairs, over: [p]}]
plant: {}
coordination: {by: fabric}
"""
    assert "no link of this network has light of its own" in fault(text)
