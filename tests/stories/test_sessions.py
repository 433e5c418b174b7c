"""Sessions of agreed quality, in virtual time: rate, trust, shares, priority, and what control does while they live."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import KeyMoved, MoveKey
from quoit.fabric.relay import Relay
from quoit.model.problem import Problem
from quoit.planes.management import GetAlarms
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.service.agreements import access, admission, router
from quoit.service.api import (
    UPKEEP,
    CloseSession,
    GetSession,
    Key,
    ListSessions,
    OpenKeys,
    OpenSession,
    Session,
    TakeKeys,
)
from quoit.testing.checkers import verify

S, MS = 1_000_000_000, 1_000_000
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
  - {name: ab, between: [a, b], protocol: rated, rate: 20 kbit/s}
  - {name: bd, between: [b, d], protocol: rated, rate: 20 kbit/s}
  - {name: ac, between: [a, c], protocol: rated, rate: 20 kbit/s}
  - {name: cd, between: [c, d], protocol: rated, rate: 20 kbit/s}
applications:
  - {sae: alice, kme: kme-a, priority: 3}
  - {sae: dan, kme: kme-d, rate: 4 kbit/s}
  - {sae: bob, kme: kme-a}
  - {sae: carol, kme: kme-b}
policies: {control_instances: %d, patience: 1s}
"""


class Story:
    """The square, running for 20 s, and what was said in it."""

    def __init__(self, instances: int = 1) -> None:
        self.events: list[Event] = []
        self.twin = assemble(loads(NETWORK % instances, "square"), Parts(lambda kme: MemoryStore()))
        self.twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(20 * S)
        self.number = 0

    def id(self) -> str:
        self.number += 1
        return str(uuid.UUID(int=self.number, version=4))

    def open(self, caller: str, peer: str, rate: float, **wishes: Any) -> Session:
        order = OpenSession(caller, peer, self.id(), rate, **wishes)
        return self.world.ask(f"kme-{caller_node(caller)}", order, 60 * S)

    def keys(self, caller: str = "alice", peer: str = "dan", number: int = 1) -> tuple[Key, ...]:
        key_ids = tuple(self.id() for _ in range(number))
        return self.world.ask(f"kme-{caller_node(caller)}", OpenKeys(caller, peer, number, key_ids, 256)).keys

    def both(self, caller: str = "alice", peer: str = "dan", number: int = 1) -> None:
        """Keys at one end, and the same at the other."""
        opened = self.keys(caller, peer, number)
        taken = self.world.ask("kme-d", TakeKeys(peer, caller, tuple(key.key_id for key in opened)))
        assert [key.value for key in taken.keys] == [key.value for key in opened]

    def pass_time(self, seconds: float) -> None:
        self.world.run_until(self.world.kernel.now + int(seconds * S))

    def strike(self, kind: str, target: str) -> None:
        self.world.kernel.ask_from_outside(self.world.kernel.now, FATE, Strike(kind, target), lambda reply: None)
        self.pass_time(1)

    def said(self, event: str) -> list[dict[str, Any]]:
        return [e.fields for e in self.events if e.event == event]

    def get(self, session: Session, caller: str = "alice") -> Session:
        return self.world.ask("kme-a", GetSession(caller, session.session_id))

    def alarms(self) -> list[str]:
        return [alarm.cause for alarm in self.world.ask(UPKEEP, GetAlarms()).alarms]

    def verified(self) -> None:
        report = verify({"event": e.event, "t": e.t, "by": e.by, "n": e.n, **e.fields} for e in self.events)
        assert not report.violations


def caller_node(sae: str) -> str:
    return {"alice": "a", "bob": "a", "dan": "d", "carol": "b"}[sae]


@pytest.mark.realises("C5", "C6")
def test_a_session_gives_its_rate_and_no_more() -> None:
    story = Story()
    session = story.open("alice", "dan", 2_000.0, burst_bits=4_096)
    assert (session.state, session.routes, session.trusted_nodes) == ("open", 1, 1)
    story.pass_time(5)
    story.both(number=16)
    with pytest.raises(Problem) as caught:
        story.keys(number=1)
    assert caught.value.code == "rate-exceeded"
    story.pass_time(0.2)
    story.both(number=1)
    streams = {e["stream"].partition("#")[0] for e in story.said("key.moved")}
    assert f"kme-a>kme-d!{session.session_id}" in streams
    assert story.get(session).served_bits == 17 * 256
    story.verified()


@pytest.mark.realises("C5")
def test_of_two_disjoint_routes_no_trusted_node_sees_the_key() -> None:
    story = Story()
    session = story.open("alice", "dan", 2_000.0, paths=2)
    assert (session.routes, session.trusted_nodes) == (2, 1)
    story.pass_time(5)
    opened = story.keys(number=4)
    moved = [e for e in story.said("key.moved") if "!" in e["stream"]]
    assert {tuple(e["nodes"]) for e in moved} == {("a", "b", "d"), ("a", "c", "d")}
    assert {e["stream"].partition("|")[2] for e in moved} == {"0/2", "1/2"}
    taken = story.world.ask("kme-d", TakeKeys("dan", "alice", tuple(key.key_id for key in opened)))
    assert [key.value for key in taken.keys] == [key.value for key in opened]
    story.verified()


def test_the_sum_of_all_shares_is_the_key_and_none_of_them_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[bytes] = []
    honest = Relay.handlers[MoveKey]

    async def overheard(element: Any, ctx: Any, msg: MoveKey) -> KeyMoved:
        moved: KeyMoved = await honest(element, ctx, msg)
        if "!" in msg.stream:
            shares.append(moved.value.reveal())
        return moved

    monkeypatch.setitem(Relay.handlers, MoveKey, overheard)
    story = Story()
    story.open("alice", "dan", 2_000.0, paths=2)
    story.pass_time(5)
    key = story.keys()[0].value.reveal()
    one, other = shares[0][:32], shares[1][:32]
    assert key == bytes(a ^ b for a, b in zip(one, other, strict=True))
    assert key not in (one, other)


def test_trust_and_contract_are_kept() -> None:
    story = Story()
    with pytest.raises(Problem, match="over at most 0 trusted nodes"):
        story.open("alice", "dan", 1_000.0, most_transit=0)
    assert story.open("alice", "carol", 1_000.0, most_transit=0).trusted_nodes == 0
    with pytest.raises(Problem) as caught:
        story.open("bob", "dan", 1_000.0, priority=1)
    assert caught.value.code == "not-authorised"
    with pytest.raises(Problem) as caught:
        story.open("dan", "alice", 5_000.0)
    assert caught.value.code == "not-admitted"
    assert caught.value.fields["offered_bps"] == 4_000
    with pytest.raises(Problem) as caught:
        story.open("alice", "dan", 50_000.0)
    assert caught.value.fields["offered_bps"] == pytest.approx(18_000, rel=0.1)
    with pytest.raises(Problem, match="an answer within 1 ns is asked"):
        story.open("alice", "dan", 1_000.0, max_latency_ns=1)


def test_a_cut_moves_the_session_and_without_a_way_it_is_degraded_until_there_is_one() -> None:
    story = Story()
    session = story.open("alice", "dan", 2_000.0)
    story.pass_time(5)
    story.strike("cut", "ab")
    assert story.get(session).state == "open"
    assert story.said("session.moved")[-1]["flows"] == [["a", "c", "d"]]
    story.strike("cut", "cd")
    assert story.get(session).state == "degraded"
    assert "session has not the routes it was promised" in story.alarms()
    story.both(number=2)  # what was ready is still given
    story.strike("splice", "ab")
    story.pass_time(10)
    assert story.get(session).state == "open"
    assert "session has not the routes it was promised" not in story.alarms()
    story.both(number=4)
    story.verified()


def test_a_session_of_higher_priority_pre_empts_and_the_other_is_told() -> None:
    story = Story()
    low = story.open("bob", "dan", 15_000.0)
    other = story.open("dan", "bob", 4_000.0)
    assert other.state == "open"
    story.open("bob", "carol", 3_000.0)
    high = story.open("alice", "dan", 15_000.0, priority=3, avoid=("c",) if low.routes else ())
    assert high.state == "open"
    states = {e["session"]: e["state"] for e in story.said("session.state")}
    assert "pre-empted" in states.values()
    assert states[high.session_id] == "open"


def test_sessions_end_and_what_they_held_is_free() -> None:
    story = Story()
    first = story.open("alice", "dan", 15_000.0, paths=2, valid_for_ns=5 * S)
    with pytest.raises(Problem) as caught:
        story.open("bob", "dan", 15_000.0)
    assert caught.value.code == "not-admitted"
    story.pass_time(6)
    with pytest.raises(Problem) as caught:
        story.get(first)
    assert caught.value.code == "unknown-session"
    second = story.open("bob", "dan", 15_000.0)
    assert [s.session_id for s in story.world.ask("kme-a", ListSessions("bob")).sessions] == [second.session_id]
    with pytest.raises(Problem) as caught:
        story.world.ask("kme-a", CloseSession("alice", second.session_id))
    assert caught.value.code == "unknown-session", "another's session is as unknown as none"
    closed = story.world.ask("kme-a", CloseSession("bob", second.session_id))
    assert closed.state == "closed"
    story.both("bob", "dan")
    story.verified()


def test_a_second_session_for_the_same_pair_and_nonsense_are_refused() -> None:
    story = Story()
    story.open("alice", "dan", 1_000.0)
    with pytest.raises(Problem, match="close it first"):
        story.open("alice", "dan", 1_000.0)
    with pytest.raises(Problem, match="expected a rate above 0"):
        story.open("alice", "carol", 0.0)
    with pytest.raises(Problem) as caught:
        story.open("alice", "nobody", 1.0)
    assert caught.value.code == "unknown-sae"


@pytest.mark.realises("C6")
def test_of_several_instances_of_control_any_one_will_do() -> None:
    story = Story(instances=3)
    for lost in (access("square", 0), access("square", 1), admission("square", 2), admission("square", 0)):
        story.twin.kernel.crash(lost)
    for lost in (router("square", 1), router("square", 2)):
        story.twin.kernel.crash(lost)
    session = story.open("alice", "dan", 2_000.0)
    assert session.state == "open"
    story.pass_time(5)
    story.both(number=3)


def test_a_session_whose_routing_module_died_asks_another_one_for_routes() -> None:
    story = Story(instances=2)
    session = story.open("alice", "dan", 2_000.0)
    story.pass_time(5)
    keeper = next(n for n in range(2) if keeps(story, n, session.session_id))
    story.twin.kernel.crash(router("square", keeper))
    story.strike("cut", "ab")
    for _ in range(30):
        story.pass_time(1)
        if story.get(session).state == "open" and story.get(session).routes:
            break
    story.both(number=4)


def keeps(story: Story, instance: int, session: str) -> bool:
    element = next(e for e in story.twin.kernel.elements if e.name == router("square", instance))
    return session in element._kmes


def test_a_session_without_routes_runs_dry_and_says_why() -> None:
    story = Story()
    story.open("alice", "dan", 8_000.0, burst_bits=4_096)
    story.pass_time(5)
    for span in ("ab", "ac"):
        story.strike("cut", span)
    refused = []
    for _ in range(200):
        try:
            story.keys(number=3)
        except Problem as problem:
            refused.append(problem)
        story.pass_time(0.1)
    assert {problem.code for problem in refused} == {"no-route"}
    assert "the session has 0 of its 1 routes now" in refused[-1].detail
