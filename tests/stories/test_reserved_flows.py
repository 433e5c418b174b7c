"""Sessions' own routes in a running network: written to the relays, guarded in the pools, moved when a link fails."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric import api as fabric
from quoit.fabric.api import ReleaseFlows, ReserveFlows
from quoit.fabric.kma import Allocate
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 1_000_000_000
NETWORK = """
quoit: 1
name: square
nodes: {a: {}, b: {}, c: {}, d: {}}
spans:
  - {name: ab, between: [a, b], length: 10 km}
  - {name: bd, between: [b, d], length: 10 km}
  - {name: ac, between: [a, c], length: 10 km}
  - {name: cd, between: [c, d], length: 10 km}
links:
  - {name: ab, between: [a, b], protocol: rated, rate: 10 kbit/s}
  - {name: bd, between: [b, d], protocol: rated, rate: 10 kbit/s}
  - {name: ac, between: [a, c], protocol: rated, rate: 10 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 10 kbit/s}
applications:
  - {sae: app-a, kme: kme-a}
  - {sae: app-d, kme: kme-d}
"""


class Story:
    def __init__(self) -> None:
        self.events: list[Event] = []
        twin = assemble(loads(NETWORK, "square"), Parts(lambda kme: MemoryStore()))
        twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.world.run_until(30 * S)

    def reserve(self, session: str, rate: float, **wishes: Any) -> list[tuple[str, ...]]:
        asked = ReserveFlows(session, "a", "d", rate, **wishes)
        return [flow.nodes for flow in self.world.ask(fabric.CONTROLLER, asked).flows]

    def drain(self, link: str) -> None:
        """Take key of a link, as anybody may, until there is none."""
        while True:
            self.world.ask(fabric.kma("a"), Allocate(link, 8_000, "delivered", 128, "greedy"))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [e.fields for e in self.events if e.event == event]


@pytest.mark.realises("C5", "C6")
def test_a_cut_moves_a_session_and_two_disjoint_routes_become_one() -> None:
    story = Story()
    assert story.reserve("alarm", 2_000.0) == [("a", "b", "d")]
    assert story.reserve("split", 2_000.0, paths=2) == [("a", "b", "d"), ("a", "c", "d")]
    story.world.kernel.ask_from_outside(story.world.kernel.now, FATE, Strike("cut", "ab"), lambda reply: None)
    story.world.run_until(40 * S)
    moved = {entry["session"]: entry["flows"] for entry in story.said("session.moved")}
    assert moved == {"alarm": [["a", "c", "d"]], "split": [["a", "c", "d"]]}
    story.world.kernel.ask_from_outside(story.world.kernel.now, FATE, Strike("splice", "ab"), lambda reply: None)
    story.world.run_until(60 * S)
    assert story.said("session.moved")[-1]["flows"] == [["a", "c", "d"], ["a", "b", "d"]]


def test_what_is_reserved_is_left_alone_by_everybody_else() -> None:
    story = Story()
    story.reserve("alarm", 2_000.0)
    story.world.run_until(31 * S)
    guarded = story.said("pool.guarded")
    assert {entry["link"]: entry["bits"] for entry in guarded} == {"ab": 20_000, "bd": 20_000}
    with pytest.raises(Problem) as caught:
        story.drain("ab")
    assert caught.value.code == "no-key-material"
    assert "20000 of them reserved" in caught.value.detail
    story.world.ask(fabric.kma("a"), Allocate("ab", 8_000, "delivered", 128, "session", "alarm/0"))
    story.world.ask(fabric.CONTROLLER, ReleaseFlows("alarm"))
    story.world.run_until(32 * S)
    story.world.ask(fabric.kma("a"), Allocate("ab", 8_000, "delivered", 128, "greedy"))


def test_a_session_of_higher_priority_takes_the_routes() -> None:
    story = Story()
    story.reserve("first", 8_000.0, avoid=("c",))
    story.reserve("second", 8_000.0, avoid=("b",))
    with pytest.raises(Problem) as caught:
        story.reserve("third", 8_000.0)
    assert caught.value.code == "not-admitted"
    assert caught.value.fields["offered_bps"] == pytest.approx(1_000, rel=0.05)
    assert story.reserve("third", 8_000.0, priority=7) == [("a", "b", "d")]
    assert story.said("session.reserved")[-1]["preempted"] == ["first"]
