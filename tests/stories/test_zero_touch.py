"""A node that comes later: nothing of it is there before, all of it after, and nobody did anything else."""

from __future__ import annotations

import uuid

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import METERS, GetLinks, agent
from quoit.fabric.sdqkd_controller import SdqkdController
from quoit.model.problem import Problem
from quoit.orchestration.api import GetView, Interface, NodeJoined, RegisterNode, View, orchestrator
from quoit.planes.management import GetAlarms
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.orchestration import interfaces_of
from quoit.service.api import UPKEEP, OpenKeys, TakeKeys
from quoit.testing.checkers import verify

S = 1_000_000_000
NETWORK = """
quoit: 1
name: row
nodes: {a: {}, b: {}, c: {joins: token}, d: {joins: token}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bc, between: [b, c], length: 10 km}
  - {name: cd, between: [c, d], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bc, between: [b, c], protocol: rated, rate: 20 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: alice, kme: kme-a, allow: [carol, dan]}
  - {sae: carol, kme: kme-c, allow: [alice]}
  - {sae: dan, kme: kme-d, allow: [alice]}
"""


class Story:
    def __init__(self, policies: str = "{}") -> None:
        self.network = loads(f"{NETWORK}policies: {policies}\n", "row")
        self.events: list[Event] = []
        self.twin = assemble(self.network, Parts(lambda kme: MemoryStore()))
        self.twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(20 * S)
        self.number = 0

    def join(self, node: str, *more: Interface) -> NodeJoined:
        order = RegisterNode(node, (*interfaces_of(self.network, node), *more))
        joined: NodeJoined = self.world.ask(orchestrator(), order)
        return joined

    def pass_time(self, seconds: float) -> None:
        self.world.run_until(self.world.kernel.now + int(seconds * S))

    def made(self) -> dict[str, int]:
        return {row.link: row.blocks for row in self.world.ask(METERS, GetLinks()).rows}

    def keys(self, peer: str, kme: str) -> None:
        """One at both ends, alike."""
        self.number += 1
        name = str(uuid.UUID(int=self.number, version=4))
        opened = self.world.ask("kme-a", OpenKeys("alice", peer, 1, (name,), 256)).keys
        taken = self.world.ask(kme, TakeKeys(peer, "alice", (name,))).keys
        assert opened[0].value == taken[0].value

    def view(self) -> View:
        found: View = self.world.ask(orchestrator(), GetView())
        return found


@pytest.mark.realises("G2", "E5")
@pytest.mark.parametrize("policies", ["{}", "{agents: true}", "{control: sdqkd, fabric_controllers: 2}"])
def test_a_node_joins_and_is_linked_and_used(policies: str) -> None:
    story = Story(policies)
    assert story.made()["ab"] > 0
    assert (story.made()["bc"], story.made()["cd"]) == (0, 0)
    with pytest.raises(Problem) as caught:
        story.keys("carol", "kme-c")
    assert caught.value.code == "unknown-sae"
    assert story.world.ask(UPKEEP, GetAlarms()).alarms == (), "who is not there yet is nobody's alarm"
    assert story.view().waiting == ("bc", "cd")
    joined = story.join("c", Interface("spare", "nowhere", "sender", "rated"))
    assert (joined.links, joined.waiting, joined.unplanned) == (("bc",), ("cd",), ("spare",))
    assert joined.applications == ("carol",)
    story.pass_time(20)
    story.keys("carol", "kme-c")
    assert story.made()["cd"] == 0
    assert story.join("d").links == ("cd",)
    story.pass_time(20)
    story.keys("dan", "kme-d")
    assert [one.joined for one in story.view().nodes] == [True] * 4
    assert story.view().waiting == ()
    again = story.join("d")
    assert (again.links, again.applications) == (("cd",), ("dan",))
    report = verify({"event": e.event, "t": e.t, "by": e.by, "n": e.n, **e.fields} for e in story.events)
    assert not report.violations


@pytest.mark.realises("G2")
def test_who_is_not_planned_or_has_not_what_was_planned_does_not_join() -> None:
    story = Story()
    for node, interfaces, said in (
        ("a", (), "joins by token"),
        ("mallory", (), "joins by token"),
        ("c", (), "found none for bc"),
        ("d", (Interface("x", "cd", "receiver", "cv-gg02"),), "expected protocol rated"),
    ):
        with pytest.raises(Problem, match=said):
            story.world.ask(orchestrator(), RegisterNode(node, interfaces))
    story.pass_time(5)
    assert (story.made()["bc"], story.made()["cd"]) == (0, 0)


@pytest.mark.realises("G2", "C4")
def test_who_leads_next_knows_of_nodes_that_have_joined_and_of_one_that_joins_while_nobody_leads() -> None:
    story = Story("{control: sdqkd, fabric_controllers: 2}")
    assert story.join("c").links == ("bc",)
    story.pass_time(10)
    (first,) = [e for e in story.twin.kernel.elements if isinstance(e, SdqkdController) and e.leads]
    story.twin.kernel.crash(first.name)
    story.pass_time(1)
    with pytest.raises(Problem) as caught:
        story.join("d")
    assert caught.value.code in ("no-controller", "deadline")
    story.pass_time(40)
    assert story.join("d").links == ("cd",)  # the device asks again
    story.pass_time(20)
    story.keys("carol", "kme-c")
    story.keys("dan", "kme-d")


def test_agents_of_nodes_that_have_not_joined_are_asked_nothing() -> None:
    story = Story("{control: sdqkd}")
    configured = {e.by for e in story.events if e.event == "agent.configured"}
    assert configured == {agent("a"), agent("b")}
