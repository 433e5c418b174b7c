"""Intents in virtual time: set up, watched, healed or given up, reported on, and explained."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    ENTANGLED,
    HYBRID,
    INTENTS,
    KEY,
    NOTIFY,
    CreateIntent,
    EndIntent,
    Expression,
    GetIntent,
    GetOpticalServices,
    GetReports,
    Intent,
    IntentChanged,
    ListIntents,
    OpticalService,
    OpticalServices,
    ReleaseOpticalServices,
    Report,
    RequestOpticalService,
    ReviseIntent,
    Targets,
)
from quoit.orchestration.intent_light import IntentLight
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike
from quoit.service.api import CloseSession, GetKmeState, Key, ListUnits, OpenKeys

S = 1_000_000_000
SQUARE = """
quoit: 1
name: square
nodes: {a: {}, b: {}, c: {}, d: {}, e: {}}
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
  - {sae: bob, kme: kme-a}
  - {sae: dan, kme: kme-d}
  - {sae: erin, kme: kme-e}
policies: {patience: 1s, intent_period: 5s}
"""


class Story:
    """A network, running for 20 s, and what was said of intents in it."""

    def __init__(self, text: str = SQUARE) -> None:
        self.news: list[IntentChanged | Report] = []
        self.twin = assemble(loads(text, "story"), Parts(lambda kme: MemoryStore()))
        self.twin.kernel.watchers.append(self._heard)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self.world.run_until(20 * S)
        self.number = 0

    def _heard(self, subject: str, msg: Any) -> None:
        if isinstance(msg, IntentChanged | Report):
            self.news.append(msg)

    def state(self, expression: Expression, **more: Any) -> str:
        self.number += 1
        name = str(uuid.UUID(int=self.number, version=4))
        made: Intent = self.world.ask(INTENTS, CreateIntent(name, "a wish", expression, **more))
        assert made.state == "acknowledged"
        return name

    def get(self, name: str) -> Intent:
        found: Intent = self.world.ask(INTENTS, GetIntent(name))
        return found

    def reports(self, name: str) -> tuple[Report, ...]:
        found: tuple[Report, ...] = self.world.ask(INTENTS, GetReports(name)).reports
        return found

    def said(self, name: str) -> str:
        return "\n".join(f"{d.step}: {d.text}" for d in self.get(name).decisions)

    def states(self, name: str) -> list[str]:
        """That it went through, in order."""
        seen = [n.intent.state for n in self.news if isinstance(n, IntentChanged) and n.intent.intent_id == name]
        return [state for i, state in enumerate(seen) if i == 0 or seen[i - 1] != state]

    def pass_time(self, seconds: float) -> None:
        self.world.run_until(self.world.kernel.now + int(seconds * S))

    def strike(self, kind: str, target: str) -> None:
        self.world.kernel.ask_from_outside(self.world.kernel.now, FATE, Strike(kind, target), lambda reply: None)
        self.pass_time(1)

    def sessions(self, kme: str = "kme-a") -> dict[str, str]:
        state = self.world.ask(kme, GetKmeState())
        return {one.session_id: one.state for one in state.sessions}

    def keys(self, number: int) -> tuple[Key, ...]:
        ids = tuple(str(uuid.UUID(int=1000 + self.number * 100 + n, version=4)) for n in range(number))
        self.number += 1
        found: tuple[Key, ...] = self.world.ask("kme-a", OpenKeys("alice", "dan", number, ids, 256)).keys
        return found


def key(rate: float = 2000.0, violation: str = "reroute", **targets: Any) -> Expression:
    return Expression(("alice", "dan"), KEY, Targets(rate, **targets), violation)


@pytest.mark.realises("G2")
def test_an_intent_becomes_a_session_heals_and_is_reported_on() -> None:
    story = Story()
    wish = story.state(key(disjoint=2, most_transit=1, availability=0.99), priority=3)
    story.pass_time(6)
    assert story.get(wish).state == "active"
    assert list(story.sessions().values()) == ["open"]
    assert "a-b-d and a-c-d" in story.said(wish)
    story.keys(8)
    story.strike("cut", "ab")
    found = story.get(wish)
    assert found.state == "degraded"
    assert "disjoint: 1 instead of 2 routes" in found.why
    assert "no light: ab" in story.said(wish)
    story.pass_time(6)
    story.strike("splice", "ab")
    story.pass_time(10)
    assert story.get(wish).state == "active"
    assert story.states(wish) == ["acknowledged", "inProgress", "active", "degraded", "active"]
    newest = {f.name: f for f in story.reports(wish)[0].figures}
    assert newest["rate_bps"].met
    assert newest["availability"].met is False
    assert 0.4 < (newest["availability"].measured or 0) < 0.9
    served = sum(
        (f.measured or 0) * (r.at_ns - r.from_ns) / S
        for r in story.reports(wish)
        for f in r.figures
        if f.name == "served_bps"
    )
    assert served == pytest.approx(8 * 256)
    times = [(r.from_ns, r.at_ns) for r in reversed(story.reports(wish))]
    assert all(times[i][1] == times[i + 1][0] for i in range(len(times) - 1))
    story.world.ask(INTENTS, EndIntent(wish))
    assert story.get(wish).state == "terminated"
    assert story.sessions() == {}
    with pytest.raises(Problem, match="terminated"):
        story.world.ask(INTENTS, ReviseIntent(wish, expression=key(1000.0)))


@pytest.mark.realises("G2")
def test_what_cannot_be_had_is_said_with_what_could_be() -> None:
    story = Story()
    wish = story.state(key(500_000.0))
    story.pass_time(12)
    assert story.get(wish).state == "inProgress"
    assert "what could be had: 18000" in story.said(wish)
    assert "no controller of optical services" in story.said(wish)
    assert [f.measured for f in story.reports(wish)[0].figures if f.name == "rate_bps"] == [0.0]
    story.world.ask(INTENTS, ReviseIntent(wish, expression=key(1500.0)), 60 * S)
    story.pass_time(6)
    assert (story.get(wish).state, story.get(wish).version) == ("active", 2)
    forbidden = story.state(Expression(("bob", "dan"), KEY, Targets(10.0)), priority=5)
    stranger = story.state(Expression(("alice", "mallory"), KEY, Targets(10.0)))
    story.pass_time(1)
    assert story.get(forbidden).state == story.get(stranger).state == "failed"
    assert "priority: expected at most 0" in story.get(forbidden).why
    assert "mallory" in story.get(stranger).why
    assert [i.intent_id for i in story.world.ask(INTENTS, ListIntents("failed")).intents] == [forbidden, stranger]


@pytest.mark.realises("G2", "C7")
def test_on_violation_decides_what_happens_to_a_service_that_is_lost() -> None:
    again, told = Story(), Story()
    outcomes = {}
    for story, violation in ((again, "reroute"), (told, NOTIFY)):
        wish = story.state(key(violation=violation))
        story.pass_time(6)
        (session,) = story.sessions()
        story.world.ask("kme-a", CloseSession("alice", session))  # its owner has no intents to care for
        story.pass_time(12)
        outcomes[violation] = (story.get(wish).state, len(story.sessions()))
    assert outcomes == {"reroute": ("active", 1), NOTIFY: ("failed", 0)}
    hybrid = Story()
    wish = hybrid.state(key(violation=HYBRID))
    hybrid.pass_time(6)
    for span in ("ab", "ac"):
        hybrid.strike("cut", span)
    for _ in range(30):
        hybrid.keys(7)
        hybrid.pass_time(1)
    assert list(hybrid.sessions().values()) == ["hybrid"]
    assert hybrid.get(wish).state == "degraded"
    assert "without the links (hybrid)" in hybrid.get(wish).why


@pytest.mark.realises("G2")
def test_an_intent_ends_with_its_time_and_limits_hold() -> None:
    story = Story()
    wish = story.state(key(), ends_ns=story.world.kernel.now + 7 * S)
    story.pass_time(6)
    assert story.get(wish).state == "active"
    story.pass_time(2)
    assert (story.get(wish).state, story.get(wish).why) == ("terminated", "its time is over")
    assert story.sessions() == {}
    with pytest.raises(Problem, match="passed"):
        story.state(key(), ends_ns=1)
    story.world.ask(INTENTS, EndIntent(wish, remove=True))
    with pytest.raises(Problem) as caught:
        story.get(wish)
    assert caught.value.code == "unknown-intent"


class Optics(Element):
    """Stands for the controller of an optical network: it has been asked."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.CONTROL

    def __init__(self) -> None:
        super().__init__("optics", "a")
        self.asked: list[RequestOpticalService] = []
        self.released: list[str] = []
        self.row = OpticalService("svc-1", "ae", "INSTALLED", True, ("ax", "xe"), 193_400_000)

    @handles(RequestOpticalService)
    async def on_request(self, ctx: Context, msg: RequestOpticalService) -> OpticalServices:
        self.asked.append(msg)
        return OpticalServices((self.row,))

    @handles(GetOpticalServices)
    async def on_get(self, ctx: Context, msg: GetOpticalServices) -> OpticalServices:
        return OpticalServices((self.row,))

    @handles(ReleaseOpticalServices)
    async def on_release(self, ctx: Context, msg: ReleaseOpticalServices) -> OpticalServices:
        self.released.append(msg.intent_id)
        return OpticalServices((self.row,))


@pytest.mark.realises("E5")
def test_where_no_link_leads_light_is_asked_for() -> None:
    story = Story.__new__(Story)
    story.news, story.number = [], 0
    story.twin = assemble(loads(SQUARE, "story"), Parts(lambda kme: MemoryStore()))
    from quoit.runtime.kernel import Kernel

    optics = Optics()
    kernel = story.twin.kernel
    manager = next(e for e in kernel.elements if e.name == INTENTS)
    manager._light = IntentLight("optics")
    story.world = VirtualWorld(Kernel([*kernel.elements, optics], seed=kernel.seed))
    story.world.begin()
    story.world.run_until(20 * S)
    wish = story.state(Expression(("alice", "erin"), KEY, Targets(100.0)))
    story.pass_time(2)
    assert [(one.a, one.b) for one in optics.asked] == [("a", "e")]
    assert "light for link ae: optical service svc-1 over ax, xe at 193.4000 THz" in story.said(wish)
    assert story.get(wish).state == "inProgress"
    story.pass_time(40)
    assert story.get(wish).resources == ("connectivity.otn/svc-1",)
    assert len(optics.asked) == 1, "what it has it does not ask for again"
    story.world.ask(INTENTS, EndIntent(wish))
    assert optics.released == [wish]


PAIRS = """
quoit: 1
name: pair
nodes: {a: {memories: {number: 20}}, b: {memories: {number: 20}}}
spans: [{name: ab, between: [a, b], length: 1 km}]
pair_links: [{name: ab, between: [a, b], success: 0.01, fidelity: 0.95}]
applications: [{sae: alice, kme: kme-a}, {sae: bob, kme: kme-b}]
policies: {intent_period: 5s}
"""


@pytest.mark.realises("G2", "D1")
def test_an_intent_keeps_entangled_states_ready() -> None:
    story = Story(PAIRS)
    wish = story.state(Expression(("alice", "bob"), ENTANGLED, Targets(fidelity=0.9), states=2))
    story.pass_time(6)
    found = story.get(wish)
    assert found.state == "active", story.said(wish)
    units = story.world.ask("eme-a", ListUnits("alice")).units
    assert [(unit.kind, unit.size_bits) for unit in units] == [("phi+", 2)]
    figures = {f.name: f for f in story.reports(wish)[0].figures}
    assert figures["fidelity"].met
    assert (figures["fidelity"].measured or 0) >= 0.9
    too_good = story.state(Expression(("bob", "alice"), ENTANGLED, Targets(fidelity=0.999)))
    story.pass_time(2)
    assert story.get(too_good).state == "failed"
    assert "what could be had: 0.9" in story.said(too_good)
