"""Units that want the same memories and links: whose turn it is, who gives way, and that all of them end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from quoit.engine.world import CutSpan
from quoit.fabric.api import PAIR_CONTROLLER, CloseCircuit, OpenCircuit
from quoit.sdk import Application, Refusal, Unit, VirtualNetwork
from shared_states import BOSTON, S, edit_world, events_of, network, play, scheduler, settled

PARTIES = ("alice", "bob", "charlie")
WIDTH = 4  # of a link: circuits at a time, if the file does not say
SMALL = BOSTON.read_text().replace("number: 8", "number: 4")
SLOW = SMALL.replace("0.004", "0.0002").replace("0.006", "0.0002").replace("0.005", "0.0002")
DARK = SMALL.replace("0.004", "0.00000001").replace("0.006", "0.00000001").replace("0.005", "0.00000001")


@dataclass
class Ended:
    """What came of a request, and when it was decided."""

    unit: Unit | None
    refusal: Refusal | None
    at_ns: int

    @property
    def code(self) -> str:
        if self.refusal is not None:
            return self.refusal.code
        assert self.unit is not None
        return self.unit.problem or self.unit.state


@dataclass
class Day:
    """A network, its applications, and all that happened."""

    net: VirtualNetwork
    events: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, seed: int = 1) -> Day:
        net = network(text, seed)
        return cls(net, events_of(net))

    def app(self, sae: str) -> Application:
        return self.net.application(sae)

    async def want(self, sae: str, others: list[str], at_s: float = 0.0, use_s: float = 0.05, **asked: Any) -> Ended:
        """Ask, wait until it is decided, use it for a while, give it back."""
        app = self.app(sae)
        await app.sleep(at_s)
        try:
            unit = await settled(app, await app.request(others, **asked))
        except Refusal as refusal:
            return Ended(None, refusal, self.net.now_ns)
        at = self.net.now_ns
        if unit.state == "established":
            await app.sleep(use_s)
            await app.close_unit(unit.unit_id)
        return Ended(unit, None, at)

    async def all_is_free(self) -> None:
        """Every memory of every node, and nothing in the books."""
        await self.app("alice").sleep(1.0)
        for sae in PARTIES:
            addresses = await self.app(sae).allocate(4)
            await self.app(sae).free(*addresses)
        assert scheduler(self.net).turns.all() == ()
        opened = [e.fields["circuit"] for e in self.events if e.event == "circuit.opened"]
        closed = [e.fields["circuit"] for e in self.events if e.event == "circuit.closed"]
        assert sorted(opened) == sorted(closed)

    def times(self, event: str) -> list[float]:
        return [e.t / S for e in self.events if e.event == event]


@pytest.mark.realises("B6", "D1")
def test_units_that_do_not_fit_wait_for_their_turn() -> None:
    day = Day.of(SLOW)

    async def story() -> None:
        wants = [day.want("alice", ["bob"], number=3, fidelity=0.6) for _ in range(3)]
        wants.append(day.want("bob", ["charlie"], at_s=0.01, number=2, fidelity=0.6))
        ended = await asyncio.gather(*wants)
        assert [one.code for one in ended] == ["established"] * 4
        assert len({one.at_ns for one in ended}) == 4
        await day.all_is_free()

    play(story())
    assert not [e for e in day.events if e.event == "turn.preempted"]


@pytest.mark.realises("B6")
def test_a_unit_that_waits_says_so() -> None:
    day = Day.of(DARK)
    alice = day.app("alice")

    async def story() -> None:
        first = await alice.request(["bob"], number=4, fidelity=0.6)
        assert first.state == "routed"
        second = await alice.request(["bob"], number=4, fidelity=0.6)
        third = await alice.request(["bob"], number=1, fidelity=0.6)
        assert (second.state, third.state) == ("requested", "requested")
        assert third.why == "waits for its turn: 1 before it"
        for unit in (second, first):
            closed = await alice.close_unit(unit.unit_id)
            assert closed.state == "failed"
        await alice.sleep(0.2)
        assert (await alice.unit(third.unit_id)).state == "routed"
        assert (await alice.unit(third.unit_id)).why is None
        await alice.close_unit(third.unit_id)
        await day.all_is_free()

    play(story())


@pytest.mark.realises("B6", "D1")
def test_a_unit_of_lower_priority_gives_way_while_it_has_no_state() -> None:
    """The low one assembles in the dark; the high one needs its memories. Both are told what happened."""
    day = Day.of(DARK)
    alice, charlie = day.app("alice"), day.app("charlie")

    async def story() -> None:
        low = await alice.request(["bob"], number=3, fidelity=0.6, priority=2, within_s=600)
        assert low.state == "routed"
        equal = await charlie.request(["bob"], number=3, fidelity=0.6, priority=2, within_s=600)
        assert equal.state == "requested"  # it waits: equals do not drive each other out
        assert (await alice.unit(low.unit_id)).state == "routed"
        high = await charlie.request(["bob"], number=3, fidelity=0.6, priority=7)
        assert high.state == "routed"
        gone = await alice.unit(low.unit_id)
        assert (gone.state, gone.problem) == ("failed", "pre-empted")
        assert gone.why == "a unit of higher priority took its place: by one of priority 7"
        (seen,) = (await day.app("bob")._call("GET", "/api/v1/units?state=failed"))["units"]
        assert (seen["unit_id"], seen["problem"]) == (low.unit_id, "pre-empted")
        for unit in (equal, high):
            await charlie.close_unit(unit.unit_id)
        await day.all_is_free()

    play(story())
    (event,) = [e for e in day.events if e.event == "turn.preempted"]
    assert event.fields["priority"] == 7


@pytest.mark.realises("B6")
def test_whoever_has_states_keeps_them() -> None:
    """A state that is delivered is its parties' until it ends, whatever comes."""
    day = Day.of(SMALL)
    alice, charlie = day.app("alice"), day.app("charlie")

    async def story() -> None:
        low = await alice.request(["bob"], number=4, fidelity=0.6)
        assert low.state == "established"
        asked = day.net.now_ns
        high = await day.want("charlie", ["alice"], number=4, fidelity=0.6, priority=7)
        assert high.code == "established"
        assert (await alice.unit(low.unit_id)).state == "expired"
        assert high.at_ns >= (low.expires_ns or 0) > asked
        await charlie.sleep(0.1)
        await day.all_is_free()

    play(story())


@pytest.mark.realises("B6", "D1")
def test_demands_that_cross_do_not_lock_each_other_out() -> None:
    """Each needs all memories of two of three nodes, and they ask at one instant; six of them end in six ways."""
    day = Day.of(SLOW, seed=5)
    pairs = [("alice", "bob"), ("bob", "charlie"), ("charlie", "alice")]

    async def story() -> None:
        wants = [day.want(a, [b], number=4, fidelity=0.55, within_s=300) for a, b in pairs + [(b, a) for a, b in pairs]]
        ended = await asyncio.gather(*wants)
        assert {one.code for one in ended} == {"established"}
        await day.all_is_free()

    play(story())
    assert len(day.times("turn.given")) == 6


@pytest.mark.realises("B6")
def test_a_deadline_ends_a_unit_that_waits_and_one_that_is_made() -> None:
    day = Day.of(DARK)
    alice = day.app("alice")

    async def story() -> None:
        begun = day.net.now_ns
        both = await asyncio.gather(
            day.want("alice", ["bob"], number=4, fidelity=0.6, within_s=3),
            day.want("alice", ["bob"], number=4, fidelity=0.6, within_s=2),
        )
        assert [one.code for one in both] == ["deadline", "deadline"]
        assert [round((one.at_ns - begun) / S, 1) for one in both] == [3.0, 2.0]
        assert "not established within 3 s" in str(both[0].refusal)
        mine = await alice.allocate(2)  # outside the books: nobody knows for how long
        late = await day.want("alice", ["bob"], number=3, fidelity=0.6, within_s=2)
        assert late.code == "no-memory"
        assert late.refusal is not None
        assert late.refusal.fields["free"] == 2
        await alice.free(*mine)
        await day.all_is_free()

    play(story())


@pytest.mark.realises("D1")
def test_a_link_that_others_use_is_waited_for_and_got() -> None:
    """Somebody else's circuit has the only link: the unit has its turn, fails to get it, and tries again."""
    lonely = "\n".join(line for line in SMALL.splitlines() if "success: 0.006" not in line and "0.005" not in line)
    day = Day.of(lonely)
    alice = day.app("alice")

    async def story() -> None:
        for number in range(WIDTH):
            theirs = OpenCircuit(f"theirs {number}", "harvard", "mit", 0.6, (), (), "somebody", "somebody")
            day.net.world.ask(PAIR_CONTROLLER, theirs)
        unit = await alice.request(["bob"], fidelity=0.6)
        assert unit.state == "requested"
        assert unit.why is not None
        assert unit.why.startswith("waits: no route")
        assert len(await alice.allocate(4)) == 4  # nothing is held meanwhile
        await alice.free(*(f"harvard/{slot}" for slot in range(4)))
        day.net.world.ask(PAIR_CONTROLLER, CloseCircuit("theirs 0"))
        assert (await settled(alice, unit)).state == "established"

    play(story())
    assert len(day.times("turn.failed")) > 5


@pytest.mark.realises("D1")
def test_of_two_centres_the_one_with_room_is_taken() -> None:
    """All three nodes could be the centre of a GHZ unit; the one that would be best is full."""
    day = Day.of(SMALL)

    async def story() -> None:
        alice = day.app("alice")
        first = await settled(alice, await alice.request(["bob", "charlie"], fidelity=0.7))
        await alice.close_unit(first.unit_id)
        await alice.sleep(0.1)
        (best,) = {e.fields["nodes"][0] for e in day.events if e.event == "circuit.opened"}
        sae = dict(zip(("harvard", "mit", "bu"), PARTIES, strict=True))[best]
        kept = await day.app(sae).allocate(3)
        await settled(alice, await alice.request(["bob", "charlie"], fidelity=0.7))
        last = [e.fields["nodes"][0] for e in day.events if e.event == "circuit.opened"][-1]
        assert last != best
        await day.app(sae).free(*kept)

    play(story())


@pytest.mark.realises("B6")
def test_a_crashed_originator_leaves_no_trace_in_the_books() -> None:
    day = Day.of(DARK)

    async def story() -> None:
        alice, bob = day.app("alice"), day.app("bob")
        asked = asyncio.create_task(day.want("alice", ["bob"], number=4, fidelity=0.6))
        waiting = asyncio.create_task(day.want("bob", ["charlie"], at_s=0.5, number=4, fidelity=0.6, within_s=20))
        await bob.sleep(1.0)
        assert len(scheduler(day.net).turns.all()) == 2
        day.net.twin.kernel.crash("eme-harvard")
        await bob.sleep(6.0)
        (left,) = scheduler(day.net).turns.all()
        assert left.originator == "bob"
        assert left.stage == "holding"
        assert (await waiting).code == "deadline"
        assert (await asked).code == "deadline"
        assert alice.sae == "alice"

    play(story())
    assert [e.fields["eme"] for e in day.events if e.event == "turn.lost"] == ["eme-harvard"]


@pytest.mark.realises("E1")
def test_a_cut_fibre_ends_in_the_deadline_and_frees_all() -> None:
    day = Day.of(SMALL)

    async def story() -> None:
        edit_world(day.net, CutSpan("harvard--mit"))
        edit_world(day.net, CutSpan("mit--bu"))
        ended = await day.want("alice", ["bob"], fidelity=0.6, within_s=12)
        assert ended.code == "deadline"
        await day.all_is_free()

    play(story())
