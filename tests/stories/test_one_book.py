"""Units, pairs on request, programs and keys compete for the same memories and links, and one book has them all."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from pair_stage import MS, PairStage

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    TRANSIT,
    CloseCircuit,
    FreeSlots,
    GetMemories,
    OpenCircuit,
    PairPlan,
    PlanPairs,
    ReserveSlots,
    memory,
)
from quoit.fabric.pairs import PairController
from quoit.model.problem import Problem
from quoit.sdk import PairsLost, Refusal, VirtualNetwork
from quoit.service.api import ClaimQubits, qnpu
from shared_states import events_of, network, play

DIAMOND = """
quoit: 1
name: diamond
nodes:
  a: {{memories: {{number: 8, t2: 2 s}}}}
  b: {{memories: {{number: {b}, t2: 2 s}}}}
  c: {{memories: {{number: {c}, t2: 2 s}}}}
  d: {{memories: {{number: 8, t2: 2 s}}}}
spans:
  - {{between: [a, b], length: 2 km}}
  - {{between: [b, d], length: 2 km}}
  - {{between: [a, c], length: 2 km}}
  - {{between: [c, d], length: 2 km}}
pair_links:
  - {{between: [a, b], success: 0.2, fidelity: 0.99}}
  - {{between: [b, d], success: 0.2, fidelity: 0.99}}
  - {{between: [a, c], success: 0.2, fidelity: 0.95}}
  - {{between: [c, d], success: 0.2, fidelity: 0.95}}
"""
LINE = """
quoit: 1
name: line
nodes:
  a: {memories: {number: 8, t1: 9 s, t2: 2 s, gate: 0.999, readout: 0.999}}
  b: {memories: {number: 8, t1: 9 s, t2: 2 s, gate: 0.999, readout: 0.999}}
  c: {memories: {number: 8, t1: 9 s, t2: 2 s, gate: 0.999, readout: 0.999}}
spans: [{between: [a, b], length: 2 km}, {between: [b, c], length: 2 km}]
pair_links:
  - {between: [a, b], success: 0.1, fidelity: 0.99, pairs: 4, attempt: 300 us}
  - {between: [b, c], success: 0.1, fidelity: 0.99, pairs: 4, attempt: 300 us}
links: [{name: key, between: [a, c], protocol: bbm92-pairs, width: 2}]
kmes: [{node: a}, {node: b}, {node: c}]
applications: [{sae: alice, kme: kme-a}, {sae: bob, kme: kme-b}, {sae: charlie, kme: kme-c}]
"""


class Circuits(PairStage):
    """Opens circuits between a and d of the diamond, one memory an end."""

    def open(self, name: str, **more: Any) -> PairPlan:
        slots = [self.ask(memory(n), ReserveSlots(f"client:{n}", 1)).slots for n in "ad"]
        order = OpenCircuit(name, "a", "d", 0.7, *slots, "client:a", "client:d", **more)
        try:
            plan: PairPlan = self.ask(PAIR_CONTROLLER, order)
        except Problem:
            for node, own in zip("ad", slots, strict=True):
                self.ask(memory(node), FreeSlots(f"client:{node}", own))
            raise
        self.run(0.01)
        return plan

    def plan(self, **more: Any) -> PairPlan:
        found: PairPlan = self.ask(PAIR_CONTROLLER, PlanPairs("a", "d", **more))
        return found


@pytest.mark.realises("D1", "B6")
def test_a_repeater_without_memories_is_passed_by_and_then_refused_by_name() -> None:
    """Two circuits fit, one a repeater; the third finds the way again when the first has gone."""
    net = Circuits(DIAMOND.format(b=3, c=2))
    assert net.plan().nodes == net.open("one").nodes == ("a", "b", "d")
    assert len(net.free("b")) == 3 - TRANSIT
    assert net.plan().nodes == net.open("two").nodes == ("a", "c", "d")
    with pytest.raises(Problem, match="b has 1 memories free, a circuit through it takes 2") as refused:
        net.open("three")
    assert refused.value.code == "no-memory"
    assert refused.value.fields == {"node": "b", "free": 1, "needed": 2}
    with pytest.raises(Problem, match="takes 2"):
        net.plan()
    assert net.plan(idle=True).nodes == ("a", "b", "d")  # what could be had of an empty network
    net.ask(PAIR_CONTROLLER, CloseCircuit("one"))
    assert net.open("three").nodes == ("a", "b", "d")
    for name in ("two", "three"):
        net.ask(PAIR_CONTROLLER, CloseCircuit(name))
    net.run(0.1)
    assert (len(net.free("b")), len(net.free("c"))) == (3, 2)


def test_control_learns_what_others_take_at_a_repeater() -> None:
    """Its own holders at b take all but one memory: circuits go around it, without a try that fails."""
    net = Circuits(DIAMOND.format(b=3, c=2))
    net.ask(memory("b"), ReserveSlots("client:b", 2))
    net.run(0.01)
    assert net.plan().nodes == ("a", "c", "d")


def test_a_node_that_was_never_large_enough_is_no_repeater() -> None:
    net = Circuits(DIAMOND.format(b=1, c=1))
    with pytest.raises(Problem, match="b has 1 memories free, a circuit through it takes 2"):
        net.plan(idle=True)


@pytest.mark.parametrize("first", [True, False])
def test_who_waits_with_higher_priority_has_a_place_on_a_link_kept(first: bool) -> None:
    """One place on each link. The later of two that wait has the higher priority, and gets it; of equals the first."""
    net = Circuits(DIAMOND.format(b=8, c=1).replace("0.99}", "0.99, pairs: 1}"))
    net.open("holder")
    for name, priority in (("early", 1), ("late", 1 if first else 4)):
        with pytest.raises(Problem):
            net.open(name, priority=priority, claim=name)
    net.ask(PAIR_CONTROLLER, CloseCircuit("holder"))
    net.run(0.01)
    winner, loser = ("early", "late") if first else ("late", "early")
    with pytest.raises(Problem, match="kept for others"):
        net.open(loser, priority=1, claim=loser)
    assert net.open(winner, priority=1 if first else 4, claim=winner).nodes == ("a", "b", "d")


def test_control_that_died_and_came_back_leaves_no_memory_behind() -> None:
    """It knows nothing of the circuit that it had opened; who closes it has its nodes give all back nevertheless."""
    net = Circuits(DIAMOND.format(b=3, c=2))
    net.open("one")
    old = next(e for e in net.kernel.elements if isinstance(e, PairController))
    new = PairController(
        old.place, tuple(old._book.links.values()), tuple(old._book._stations.values()), old._compiler,
        old._book._memories,
    )  # fmt: skip
    net.kernel.crash(PAIR_CONTROLLER)
    net.run(0.1)
    net.kernel.revive(new)
    net.run(0.1)
    assert len(net.free("b")) == 3 - TRANSIT
    assert net.plan().nodes == ("a", "b", "d")  # it believes that b has three, and asks b itself before it uses them
    assert net.open("two").nodes == ("a", "c", "d")
    net.ask(PAIR_CONTROLLER, CloseCircuit("one"))
    net.run(0.1)
    assert len(net.free("b")) == 3


class Day:
    """A network on which all kinds of demand meet, watched all the time."""

    def __init__(self, seed: int) -> None:
        self.net: VirtualNetwork = network(LINE, seed)
        self.events = events_of(self.net)
        self.control = next(e for e in self.net.twin.kernel.elements if isinstance(e, PairController))
        self.worst: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.at: dict[str, list[int]] = {}

    async def watch(self, seconds: float) -> None:
        """At every look: no link bears more than it can, and what passes a node has its memories there."""
        end = self.net.now_ns + round(seconds * 1e9)
        gate = self.net.gate
        while self.net.now_ns < end:
            for name, used in self.control._book.used.items():
                assert 0 <= used <= 4
                self.worst[name] = max(self.worst[name], used)
            rows = (await gate.ask(memory("b"), GetMemories())).rows
            passing = sum(row.holder.startswith(PAIR_CONTROLLER) for row in rows)
            self.worst["b"] = max(self.worst["b"], passing)
            assert passing >= TRANSIT * 2  # the key's, all the time
            await gate.sleep(0.005)

    async def ended(self, kind: str, work: Any) -> None:
        try:
            await work
            outcome = "done"
        except Refusal as refusal:
            outcome = refusal.code
        except PairsLost as lost:
            outcome = lost.code
        except Problem as problem:
            outcome = problem.code
        self.outcomes[f"{kind} {outcome}"] += 1
        self.at.setdefault(kind, []).append(self.net.now_ns)

    async def unit(self, sae: str, other: str, number: int, priority: int) -> None:
        app = self.net.application(sae)
        unit = await app.request([other], number=number, fidelity=0.7, priority=priority, within_s=6)
        try:
            while unit.state in ("requested", "routed"):
                await app.sleep(0.02)
                unit = await app.unit(unit.unit_id)
            if unit.state != "established":
                raise Problem(unit.problem or "internal", unit.why or "")
            assert (unit.fidelity or 0) >= 0.7
            await app.sleep(0.1)
        finally:
            if unit.state == "established":
                await app.close_unit(unit.unit_id)

    async def pairs(self, sae: str, other: str, number: int, priority: int, purpose: int) -> None:
        app, peer = self.net.application(sae), self.net.application(other)
        await peer.receive_pairs(sae, purpose)
        await app.create_pairs(
            other, kind="K", number=number, fidelity=0.7, within_s=4, purpose=purpose, priority=priority
        )
        own, far = await app.next_pairs(), await peer.next_pairs()
        for one, told in ((app, own), (peer, far)):
            assert len(told.pairs) == number
            await one.free(*(pair.address or "" for pair in told.pairs))

    async def program(self, node: str, number: int, seconds: float) -> None:
        claimed = await self.net.gate.ask(qnpu(node), ClaimQubits(number))
        await self.net.gate.sleep(seconds)
        await self.net.gate.ask(memory(node), FreeSlots(qnpu(node), claimed.slots))


@pytest.mark.realises("B6", "D1", "D2")
def test_all_kinds_of_demand_meet_in_one_book() -> None:
    """A key over pairs, units through and at the repeater, pairs on request over its links, and a program that takes
    memories of it. All end: made, or refused with a reason of the book; afterwards all but the key's is free."""
    day = Day(1)

    async def story() -> None:
        await asyncio.gather(
            day.watch(4.0),
            *(day.ended("unit", day.unit("alice", "charlie", 2, n % 3)) for n in range(4)),
            *(day.ended("unit", day.unit("bob", "charlie", 2, 3)) for _ in range(2)),
            day.ended("pairs", day.pairs("alice", "bob", 2, 5, 1)),
            day.ended("program", day.program("b", 2, 0.5)),
        )

    play(story())
    assert sum(day.outcomes.values()) == 8
    assert {name.split()[1] for name in day.outcomes} <= {"done", "no-memory", "deadline", "TIMEOUT", "pre-empted"}
    assert day.outcomes["unit done"] >= 3
    assert day.worst["b"] > TRANSIT * 2  # circuits passed beside the key's
    assert day.worst["a--b"] > 2
    rows = play(day.net.gate.ask(memory("b"), GetMemories()))[0].rows
    assert sum(bool(row.holder) for row in rows) == TRANSIT * 2
    assert {row.holder for row in rows} == {"", f"{PAIR_CONTROLLER} key"}
    assert all(used == 2 for used in day.control._book.used.values())


def test_memories_that_come_free_are_for_the_highest_priority_whatever_its_kind() -> None:
    """b has 4 memories beside the key's, and a program has them all. A unit of priority 1 has waited for long when
    pairs of priority 6 are asked for at the same node: they come first, though the unit tries as often."""
    day = Day(3)

    async def story() -> None:
        program = asyncio.create_task(day.program("b", 4, 1.0))
        await day.net.gate.sleep(0.1)
        unit = asyncio.create_task(day.ended("unit", day.unit("bob", "charlie", 4, 1)))
        await day.net.gate.sleep(0.5)
        pairs = asyncio.create_task(day.ended("pairs", day.pairs("alice", "bob", 1, 6, 1)))
        await asyncio.gather(program, unit, pairs)

    play(story())
    assert day.outcomes == {"unit done": 1, "pairs done": 1}
    assert day.at["pairs"][0] < day.at["unit"][0] - 100 * MS
