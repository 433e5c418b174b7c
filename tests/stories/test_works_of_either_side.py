"""Works of either side, in one calendar: links are empty or elsewhere before anything is taken down.

Transcripts are of simulated time; the networks are deterministic by their seed.
"""

from __future__ import annotations

from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.model.problem import Problem
from quoit.orchestration.api import PlanWorks, Works, WorksAnnounced, orchestrator
from quoit.planes.loop import SteerLoop
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import OpenKeys

S = 10**9
# A square with two ways from a to d, and a tail to e that has one.
SQUARE = """
quoit: 1
name: square
nodes: {a: {}, b: {}, c: {}, d: {}, e: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bd, between: [b, d], length: 10 km}
  - {name: spare, between: [b, d], length: 12 km}
  - {name: ac, between: [a, c], length: 10 km}
  - {name: cd, between: [c, d], length: 10 km}
  - {name: de, between: [d, e], length: 10 km}
PLANT
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bd, between: [b, d], protocol: rated, spans: [bd], rate: 20 kbit/s}
  - {name: ac, between: [a, c], protocol: rated, rate: 10 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 10 kbit/s}
  - {name: de, between: [d, e], protocol: rated, rate: 10 kbit/s}
applications: [{sae: alice, kme: kme-a}, {sae: dan, kme: kme-d}, {sae: erin, kme: kme-e}]
loops: {works: {lead: 10s}}
events: [{at: 15s, load: {from: alice, to: dan, rate: 2.56 kbit/s}}]
"""


class Story:
    def __init__(self, plant: str = "", policies: str = "") -> None:
        twin = assemble(loads(SQUARE.replace("PLANT", plant) + policies), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()

    def until(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def plan(self, works: Works) -> WorksAnnounced:
        news: WorksAnnounced = self.world.ask(orchestrator(), PlanWorks(works))
        return news

    def told(self, *names: str) -> list[tuple[float, str, str]]:
        """(instant, event, link or state) of some events."""
        return [
            (round(e.t / S, 1), e.event, str(e.fields.get("link") or e.fields.get("works")))
            for e in self.events
            if e.event in names
        ]

    def states(self) -> list[tuple[int, str]]:
        return [(e.t // S, e.event.partition(".")[2]) for e in self.events if e.event.startswith("works.")]

    def count(self, event: str) -> int:
        return sum(e.event == event for e in self.events)

    def row(self) -> Any:
        (row,) = self.world.ask(api.WORKS, api.GetWorks()).rows
        return row


@pytest.mark.realises("E5", "G2")
def test_a_node_of_the_fabric_is_taken_out_and_nothing_runs_over_it_by_then() -> None:
    story = Story()
    story.until(20)
    news = story.plan(Works("repair", "quantum", "node", "b", 60 * S, 90 * S, "new detectors"))
    assert news.works.links == ("ab", "bd")
    story.until(100)
    assert story.told("link.drained", "link.given_back") == [
        (50.0, "link.drained", "ab"),
        (50.0, "link.drained", "bd"),
        (90.0, "link.given_back", "ab"),
        (90.0, "link.given_back", "bd"),
    ]
    assert dict.fromkeys(story.states()) == dict.fromkeys(
        [(20, "announced"), (20, "draining"), (50, "draining"), (60, "down"), (90, "given-back")]
    )
    assert sorted(story.row().moved) == ["ab", "bd"]
    ways = [e.fields["nodes"] for e in story.events if e.event == "flow.changed" and 50.5 * S < e.t < 90 * S]
    before = [e.fields["nodes"] for e in story.events if e.event == "flow.changed" and e.t < 50 * S]
    assert ["a", "b", "d"] in before
    assert not [way for way in ways if "b" in way[1:-1]]
    assert story.count("load.refused") == story.count("load.differs") == 0
    assert story.count("load.served") > 800


@pytest.mark.realises("E5", "G2")
def test_works_on_what_has_no_other_way_are_held_until_it_is_forced() -> None:
    story = Story()
    story.until(20)
    story.world.kernel.ask_from_outside(story.world.kernel.now, "kme-d", _keys_to_erin(), lambda reply: None)
    story.until(30)
    story.plan(Works("tail", "quantum", "link", "de", 60 * S, 120 * S, ""))
    story.until(70)
    row = story.row()
    assert (row.state, row.stuck) == (api.HELD, ("de",)), "flows to e have no other way"
    story.plan(Works("tail", "quantum", "link", "de", 60 * S, 120 * S, "", force=True))
    story.until(71)
    assert story.row().state == api.DOWN


def _keys_to_erin() -> OpenKeys:
    return OpenKeys("dan", "erin", 1, ("00000000-0000-4000-8000-000000000001",), 256)


@pytest.mark.realises("E5", "E3", "G2")
def test_the_loop_hears_of_fibre_works_that_the_optical_side_announced_through_the_orchestrator() -> None:
    story = Story()
    story.until(20)
    news = story.plan(Works("dig", "optical", "span", "bd", 60 * S, 90 * S, "duct"))
    assert news.works.links == ("bd",)
    story.until(100)
    records = [
        (round(e.t / S), e.fields["stage"], e.fields["text"])
        for e in story.events
        if e.event == "loop.record" and e.fields["loop"] == "works:bd"
    ]
    assert records == [
        (50, "analyse", "bd: planned works: dig"),
        (50, "decide", "move bd to spare: planned works: dig"),
        (50, "execute", "moved to spare with no flow on it"),
        (51, "verify", "it helped"),
        (90, "analyse", "bd: works are over"),
        (90, "decide", "move bd home to bd"),
        (90, "execute", "moved to bd with no flow on it"),
        (91, "verify", "it helped"),
    ]
    assert (60, "down") in story.states()
    assert story.count("load.refused") == 0


@pytest.mark.realises("E5", "G2")
def test_a_link_that_the_optical_network_moves_is_drained_before_works_on_its_devices() -> None:
    story = Story("plant: {services: [{name: q, link: bd, max_loss: 9 dB}]}")
    story.until(20)
    story.plan(Works("laser", "quantum", "link", "bd", 60 * S, 90 * S, ""))
    story.until(100)
    assert story.told("link.drained", "link.given_back") == [
        (50.0, "link.drained", "bd"),
        (90.0, "link.given_back", "bd"),
    ]
    assert not [e for e in story.events if e.event == "service.moved"], "other light would not help"
    assert (60, "down") in story.states()


@pytest.mark.realises("E5", "G2")
def test_without_its_loop_a_link_is_not_taken_out_and_works_are_held() -> None:
    story = Story()
    story.until(20)
    story.world.ask("loop.works:bd", SteerLoop("pause"))
    story.plan(Works("laser", "quantum", "link", "bd", 60 * S, 90 * S, ""))
    story.until(70)
    assert (story.row().state, story.row().stuck) == (api.HELD, ("bd",))
    story.world.ask("loop.works:bd", SteerLoop("resume"))
    story.until(75)
    assert (story.row().state, story.row().moved) == (api.DOWN, ("bd",))
    for bad in (api.GaveWay("strange", "bd"), api.AnnounceWorks("x", (), 80 * S, 90 * S, links=("zz",))):
        with pytest.raises(Problem) as found:
            story.world.ask(api.WORKS, bad)
        assert found.value.code == "no-such-element"


@pytest.mark.realises("C2", "E5", "G2")
def test_controllers_by_etsi_015_drain_links_too_and_one_that_takes_over_goes_on_with_it() -> None:
    story = Story(policies="policies: {control: sdqkd, fabric_controllers: 2}")
    story.until(20)
    story.plan(Works("laser", "quantum", "link", "bd", 60 * S, 90 * S, ""))
    story.until(61)
    assert (story.row().state, story.row().moved) == (api.DOWN, ("bd",))
    leader = next(e for e in reversed(story.events) if e.event == "control.leads").fields["holder"]
    story.world.kernel.crash(leader)
    story.until(80)
    (other,) = {e.fields["holder"] for e in story.events if e.event == "control.leads"} - {leader}
    controller = next(e for e in story.world.kernel.elements if e.name == other)
    assert controller._states["bd"].drained
    story.until(100)
    assert story.count("load.differs") == 0
    assert [(event, link) for _, event, link in story.told("link.given_back")] == [("link.given_back", "bd")]


@pytest.mark.realises("E5")
def test_where_the_fabric_is_controlled_from_outside_works_on_links_are_held() -> None:
    story = Story(policies="policies: {control: external}")
    story.until(20)
    story.plan(Works("laser", "quantum", "link", "bd", 60 * S, 90 * S, ""))
    story.until(70)
    assert (story.row().state, story.row().stuck) == (api.HELD, ("bd",))
    records = [e.fields["text"] for e in story.events if e.event == "loop.record"]
    assert any("nobody keeps flows off a link" in text for text in records)
