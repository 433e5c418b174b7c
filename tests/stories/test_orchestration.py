"""One view over the strata: of one domain and of several, hierarchical and federated; and what both sides plan."""

from __future__ import annotations

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    GetView,
    GetWorksCalendar,
    LinkSeen,
    PlanWorks,
    View,
    WithdrawWorks,
    Works,
    WorksAnnounced,
    orchestrator,
)
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 1_000_000_000
TWO = """
quoit: 1
name: two
domains: [{name: west, prefix: "urn:qkd:west"}, {name: east, prefix: "urn:qkd:east"}]
nodes: {w1: {domain: west}, w2: {domain: west}, e1: {domain: east}, e2: {domain: east}}
spans:
  - {name: ww, between: [w1, w2], length: 10 km, duct: tunnel}
  - {name: we, between: [w2, e1], length: 10 km}
  - {name: ee, between: [e1, e2], length: 10 km}
links:
  - {name: ww, between: [w1, w2], protocol: rated, rate: 20 kbit/s}
  - {name: we, between: [w2, e1], protocol: rated, rate: 20 kbit/s}
  - {name: ee, between: [e1, e2], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: wanda, kme: kme-w1}
  - {sae: erik, kme: kme-e2}
  - {sae: hidden, kme: kme-e2, routable: false}
policies: {orchestration: %s}
"""


class Story:
    def __init__(self, mode: str) -> None:
        self.twin = assemble(loads(TWO % mode, "two"), Parts(lambda kme: MemoryStore()))
        self.news: list[LinkSeen | WorksAnnounced] = []
        self.twin.kernel.watchers.append(self._heard)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(20 * S)

    def _heard(self, subject: str, msg: object) -> None:
        if isinstance(msg, LinkSeen | WorksAnnounced):
            self.news.append(msg)

    def calendar(self, domain: str = "") -> list[str]:
        return [works.works_id for works in self.world.ask(orchestrator(domain), GetWorksCalendar()).works]

    def view(self, domain: str = "") -> View:
        found: View = self.world.ask(orchestrator(domain), GetView(), 120 * S)
        return found


@pytest.mark.realises("A5", "E5")
def test_one_orchestrator_above_all_domains_sees_everything() -> None:
    view = Story("hierarchical").view()
    assert [(d.name, d.mode, d.silent) for d in view.domains] == [("west", "own", ()), ("east", "own", ())]
    assert [n.node for n in view.nodes] == ["w1", "w2", "e1", "e2"]
    assert {row.sae for row in view.applications} == {"wanda", "erik", "hidden"}
    assert [row.link for row in view.links] == ["ww", "we", "ee"]
    assert {span.span: span.risks for span in view.spans}["ww"] == ("tunnel",)
    assert [kme.kme for kme in view.kmes] == ["kme-w1", "kme-w2", "kme-e1", "kme-e2"]
    assert view.from_ns < view.at_ns


@pytest.mark.realises("A5", "E5")
def test_orchestrators_that_are_peers_tell_each_other_what_others_may_know() -> None:
    story = Story("federated")
    view = story.view("west")
    assert [(d.name, d.mode) for d in view.domains] == [("west", "own"), ("east", "peer")]
    assert [n.node for n in view.nodes] == ["w1", "w2", "e1", "e2"]
    assert {row.sae for row in view.applications} == {"wanda", "erik"}, "who is not routable is unknown abroad"
    assert {kme.domain for kme in view.kmes} == {"west"}
    assert {row.sae for row in story.view("east").applications} == {"wanda", "erik", "hidden"}
    story.twin.kernel.crash(orchestrator("east"))
    alone = story.view("west")
    assert alone.domains[1].silent == (orchestrator("east"),), "a silent peer is said to be silent, and hides nothing"
    assert [n.node for n in alone.nodes] == ["w1", "w2"]


@pytest.mark.realises("E5")
def test_a_controller_that_is_silent_is_named_and_the_rest_is_shown() -> None:
    story = Story("hierarchical")
    story.twin.kernel.crash("kme-w2")
    view = story.view()
    assert view.domains[0].silent == ("kme-w2",)
    assert len(view.links) == 3


@pytest.mark.realises("E5")
def test_both_sides_plan_works_and_links_that_change_are_told() -> None:
    story = Story("hierarchical")
    spans = Works("w-1", "optical", "span", "we", 100 * S, 200 * S, "splicing", force=True)
    news: WorksAnnounced = story.world.ask(orchestrator(), PlanWorks(spans))
    assert news.works.links == ("we",)
    at_node: WorksAnnounced = story.world.ask(
        orchestrator(), PlanWorks(Works("w-2", "optical", "node", "e1", 50 * S, 60 * S, "", force=True))
    )
    assert at_node.works.links == ("ee", "we")
    story.world.ask(orchestrator(), PlanWorks(Works("q-1", "quantum", "link", "ee", 70 * S, 80 * S, "", force=True)))
    assert story.calendar() == ["w-2", "q-1", "w-1"]
    # It is one calendar: what the optical network's people say there is heard here, and the other way round.
    told = {row.works: (row.side, row.spans, row.links) for row in story.world.ask(api.WORKS, api.GetWorks()).rows}
    assert told == {
        "w-1": ("optical", ("we",), ()),
        "w-2": ("optical", ("we", "ee"), ()),
        "q-1": ("quantum", (), ("ee",)),
    }
    story.world.ask(api.WORKS, api.AnnounceWorks("dig", ("ww",), 40 * S, 45 * S, force=True))
    assert story.calendar() == ["dig", "w-2", "q-1", "w-1"]
    story.world.ask(orchestrator(), WithdrawWorks("q-1"))
    story.world.run_until(90 * S)
    assert story.calendar() == ["w-1"], "what is over is gone"
    heard = [(n.works.works_id, n.works.state, n.withdrawn) for n in story.news if isinstance(n, WorksAnnounced)]
    assert [one for one in heard if one[0] in ("dig", "q-1")] == [
        ("q-1", "announced", False),
        ("q-1", "draining", False),
        ("dig", "announced", False),
        ("dig", "draining", False),
        ("q-1", "given-back", True),
        ("dig", "down", False),
        ("dig", "given-back", False),
    ]
    for bad, said in (
        (Works("x", "nobody", "span", "we", 100 * S, 200 * S, ""), "side: expected"),
        (Works("x", "optical", "span", "we zz", 100 * S, 200 * S, ""), "no span is called 'zz'"),
        (Works("x", "optical", "span", "we", 200 * S, 100 * S, ""), "after the begin"),
        (Works("x", "optical", "span", "we", 1 * S, 2 * S, ""), "to come"),
        (Works("x", "quantum", "link", "ee", 100 * S, 200 * S, ""), "ee cannot give way; say force"),
        (Works("x", "optical", "span", "ww ee", 100 * S, 200 * S, ""), "ee, ww cannot give way"),
    ):
        with pytest.raises(Problem, match=said):
            story.world.ask(orchestrator(), PlanWorks(bad))
    with pytest.raises(Problem, match="no works are called 'x'"):
        story.world.ask(orchestrator(), WithdrawWorks("x"))
    story.world.kernel.ask_from_outside(story.world.kernel.now, FATE, Strike("cut", "we"), lambda reply: None)
    story.world.run_until(95 * S)
    assert [(n.link, n.state) for n in story.news if isinstance(n, LinkSeen)] == [("we", "dark")]


@pytest.mark.realises("E5")
def test_works_are_planned_anew_and_of_those_under_way_the_end_alone() -> None:
    story = Story("hierarchical")
    first = Works("q", "quantum", "node", "w2", 50 * S, 60 * S, "", force=True)
    assert story.world.ask(orchestrator(), PlanWorks(first)).works.links == ("we", "ww")
    other = Works("q", "quantum", "link", "ee", 70 * S, 80 * S, "", force=True)
    assert story.world.ask(orchestrator(), PlanWorks(other)).works.links == ("ee",)
    story.world.run_until(55 * S)
    (row,) = story.world.ask(api.WORKS, api.GetWorks()).rows
    assert (row.state, row.links) == ("draining", ("ee",)), "the first plan's steps are not taken"
    story.world.run_until(75 * S)
    longer = Works("q", "quantum", "link", "ee", 70 * S, 90 * S, "it takes longer", force=True)
    assert story.world.ask(orchestrator(), PlanWorks(longer)).works.state == "down"
    with pytest.raises(Problem, match="only their end may be changed"):
        story.world.ask(orchestrator(), PlanWorks(Works("q", "quantum", "link", "ww", 70 * S, 90 * S, "")))
    story.world.run_until(85 * S)
    assert story.calendar() == ["q"]
    story.world.run_until(91 * S)
    assert story.calendar() == []


@pytest.mark.realises("E5", "A5")
def test_orchestrators_that_are_peers_have_one_calendar() -> None:
    story = Story("federated")
    plan = Works("q", "quantum", "link", "ww", 50 * S, 60 * S, "", force=True)
    assert story.world.ask(orchestrator("east"), PlanWorks(plan)).by == orchestrator("east")
    assert story.calendar("west") == story.calendar("east") == ["q"]
    story.world.run_until(21 * S)
    assert {n.by for n in story.news if isinstance(n, WorksAnnounced)} == {orchestrator("east"), orchestrator("west")}
