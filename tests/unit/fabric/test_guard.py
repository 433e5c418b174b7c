"""What a receiver does of its own: it holds its link by what it sees, and lets go by that alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.fabric import api
from quoit.fabric.api import BlockMade, EndReading, Falsify, LinkReading
from quoit.fabric.detection import BatteryPlan, TwoEnds
from quoit.fabric.guard import EndGuard, GuardPlan, HoldEnded, LinkHeld, OrderWaits
from quoit.fabric.kma import Deposit, DiscardFrom, Kma, PoolPlan, Readmit
from quoit.fabric.reporting import CRY, DELAY, REPEAT, WITHHOLD, Agent
from quoit.model.bans import Bans
from quoit.model.secret import Secret

S = 10**9


class Ctx:
    """What a guard and an agent ask of their context."""

    def __init__(self) -> None:
        self.now = 0
        self.told: list[tuple[str, Any, int]] = []
        self.log: list[str] = []

    def tell(self, to: str, msg: Any, after: int = 0) -> None:
        self.told.append((to, msg, after))

    def emit(self, event: str, /, **fields: Any) -> None:
        self.log.append(event)

    def publish(self, subject: str, msg: Any) -> None:
        self.told.append((subject, msg, 0))

    def messages(self, kind: type) -> list[Any]:
        return [msg for _, msg, _ in self.told if isinstance(msg, kind)]


def reading(second: int, qber: float = 0.02, bright: bool = False) -> LinkReading:
    return LinkReading("link", 10_000, round(10_000 * qber), 5e4, 1e5, second * S, second, S, (), bright)


class Guarded:
    """A guard with its context, and readings second by second."""

    def __init__(self, manner: str = "") -> None:
        self.ctx = Ctx()
        agent = Agent()
        if manner:
            agent.obey(self.ctx, Falsify("link", True, manner))
        plan = GuardPlan(BatteryPlan(0.08), 3 * S)
        self.guard = EndGuard("link", ("alice", "bob"), plan, agent)

    def see(self, qber: float = 0.02, trusted: bool = True, bright: bool = False) -> bool:
        self.ctx.now += S
        return self.guard.look(self.ctx, reading(self.ctx.now // S, qber, bright), trusted)


@pytest.mark.realises("I3", "I2")
def test_it_holds_when_errors_rise_and_lets_go_when_they_have_been_normal_for_the_hold_time() -> None:
    link = Guarded()
    assert not any(link.see() for _ in range(10))
    assert link.see(0.06)
    assert link.guard.held
    dropped = [(to, msg.first_block, msg.held) for to, msg, _ in link.ctx.told if isinstance(msg, DiscardFrom)]
    assert dropped == [("kma:alice", 10, True), ("kma:bob", 10, True)]
    (held,) = link.ctx.messages(LinkHeld)
    assert held.first_block == 10
    assert not any(link.see(0.06) for _ in range(5))
    assert not any(link.see() for _ in range(3))
    assert not link.see(0.06)  # a relapse: the time begins anew
    assert not any(link.see() for _ in range(3))
    assert link.see()
    assert not link.guard.held
    link.guard.let_go(link.ctx, 25)
    assert [(msg.from_block, msg.held) for msg in link.ctx.messages(Readmit)] == [(25, True)] * 2
    assert link.ctx.messages(HoldEnded)


@pytest.mark.realises("I3")
def test_an_order_does_not_end_a_hold_and_management_hears_of_it() -> None:
    link = Guarded()
    for _ in range(10):
        link.see()
    assert link.guard.trusted_again(link.ctx)
    link.see(bright=True)
    assert link.guard.held
    assert not link.guard.trusted_again(link.ctx)
    assert link.ctx.messages(OrderWaits)
    assert "link.order_waits" in link.ctx.log


@pytest.mark.parametrize(("manner", "heard"), [(REPEAT, 0), (WITHHOLD, 0), (CRY, 1), (DELAY, 1)])
def test_an_agent_that_lies_keeps_the_hold_back_and_the_link_is_held_all_the_same(manner: str, heard: int) -> None:
    link = Guarded(manner)
    for _ in range(10):
        link.see()
    assert link.see(0.06)
    assert len(link.ctx.messages(LinkHeld)) == heard
    assert len(link.ctx.messages(DiscardFrom)) == 2


def test_a_link_that_management_does_not_trust_is_not_judged() -> None:
    """A cut is known to the plant at once: the errors of the dark are nobody's."""
    link = Guarded()
    for _ in range(10):
        link.see()
    assert not any(link.see(0.5, trusted=False) for _ in range(20))
    assert not link.see()


@given(st.integers(0, 15), st.integers(1, 60))
def test_both_ends_in_one_hand_repeat_the_same_intervals(offset: int, seconds: int) -> None:
    """Whenever they are taken over, and whenever the sender tells: what they tell agrees, so it is not found so."""
    ctx, near, far, ends = Ctx(), Agent(), Agent(), TwoEnds()
    rows: list[tuple[int, int, int]] = []
    taken = 40 + offset
    for second in range(1, taken + seconds):
        ctx.now = second * S
        if second == taken:
            for agent in (near, far):
                agent.obey(ctx, Falsify("link"))
        true = LinkReading("link", 1000 + second, second % 37, 5e4, 1e5, second * S, 1, S)
        near.reading(ctx, true)
        rows.append((second * S, true.tested, true.errors))
        if len(rows) == 4:
            far.end_reading(ctx, EndReading("link", tuple(rows)))
            rows = []
    for _, msg, _ in ctx.told:
        assert (ends.near(msg) if isinstance(msg, LinkReading) else ends.far(msg)) is None
    told = {m.at_ns: m.errors for m in ctx.messages(LinkReading)}
    assert all(told[at * S] == at % 37 for at in range(1, taken + 1) if at * S in told)
    assert all(told[at * S] < taken for at in range(taken + 1, taken + seconds))


def test_readings_without_a_block_are_overdue_once_and_not_while_none_is_to_be_made() -> None:
    ends = TwoEnds()
    made = BlockMade("link", 1, 0, 0.02, 0, 0, 0, S, "")
    second = 0
    for _ in range(4):
        for _ in range(5):
            second += 1
            ends.near(reading(second))
        assert not ends.overdue
        ends.made(made)
    for _ in range(20):
        second += 1
        ends.near(reading(second))
        assert not ends.overdue
        ends.idle()
    found = []
    for _ in range(22):
        second += 1
        ends.near(reading(second))
        found.append(ends.why_overdue() if ends.overdue else "")
    assert [i for i, why in enumerate(found) if why] == [20]


@pytest.mark.parametrize(("manner", "errors"), [("cry", 5_000), ("repeat", 200), ("", 600)])
def test_what_a_taken_over_agent_tells(manner: str, errors: int) -> None:
    ctx, agent = Ctx(), Agent()
    for second in range(1, 21):
        agent.reading(ctx, reading(second))
    ctx.now = 20 * S
    if manner:
        agent.obey(ctx, Falsify("link", True, manner))
    agent.reading(ctx, reading(21, 0.06))
    last = ctx.messages(LinkReading)[-1]
    assert (last.errors, last.at_ns, last.block) == (errors, 21 * S, 21)
    agent.obey(ctx, Falsify("link", False))
    agent.reading(ctx, reading(22, 0.06))
    assert ctx.messages(LinkReading)[-1].errors == 600


def test_an_agent_may_tell_late_or_nothing() -> None:
    ctx, agent = Ctx(), Agent()
    agent.obey(ctx, Falsify("link", True, DELAY, 12 * S))
    agent.reading(ctx, reading(1))
    assert [(to, after) for to, _, after in ctx.told] == [(api.METERS, 12 * S)]
    agent.obey(ctx, Falsify("link", True, WITHHOLD))
    agent.reading(ctx, reading(2))
    agent.end_reading(ctx, EndReading("link", ((1, 2, 3),)))
    assert len(ctx.told) == 1


def test_a_ban_within_a_ban() -> None:
    bans = Bans()
    bans.ban("link", 5, 10)
    assert bans.within("link", 6, 10)
    assert not bans.within("link", 4, 6)
    assert not bans.within("other", 6, 6)


@pytest.mark.realises("I3")
@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_neither_management_nor_the_receiver_opens_what_the_other_has_closed(order: tuple[bool, bool]) -> None:
    agent = Kma("alice", (PoolPlan("link", "alice", "bob", 2**20, 0),), {})
    ctx = Ctx()

    def do(handler: Any, msg: Any) -> list[str]:
        ctx.log.clear()
        with pytest.raises(StopIteration):
            handler(ctx, msg).send(None)
        return list(ctx.log)

    for held in (True, False):
        told = do(agent.on_discard, DiscardFrom("link", 3, 1_000_003, "why", held))
        assert ("pool.quarantined" in told) is held  # said twice, told once
    for number, held in enumerate(order):
        assert "pool.filled" not in do(agent.on_deposit, Deposit("link", 5, Secret(b"\0" * 32)))
        told = do(agent.on_readmit, Readmit("link", 4 if held else 5, held))
        assert ("pool.released" in told) is (number == 1)
    assert "pool.filled" in do(agent.on_deposit, Deposit("link", 5, Secret(b"\0" * 32)))
    assert "pool.filled" not in do(agent.on_deposit, Deposit("link", 3, Secret(b"\0" * 32)))
