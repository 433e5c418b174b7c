"""Closed loops: when they act, when they do not, and what they leave on record."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.model.problem import Problem
from quoit.planes.loop import Action, ClosedLoop, Finding, GetLoop, LoopPlan, LoopStanding, SteerLoop
from quoit.planes.loop_locks import ARBITER, Lock, Locked, LoopArbiter, Unlock
from quoit.runtime.context import Context
from quoit.runtime.element import Stratum
from quoit.runtime.kernel import Kernel
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld

S = 1_000_000_000


class Tank:
    """A world with one number: the leak lowers the level until somebody closes the valve."""

    def __init__(self) -> None:
        self.leak_from = 10 * S
        self.leak_until = 1 << 62
        self.valve_works = True
        self.refuses = False

    def low(self, now: int) -> bool:
        return self.leak_from <= now < self.leak_until


class Valve(ClosedLoop):
    stratum = Stratum.FABRIC

    def __init__(self, plan: LoopPlan, tank: Tank) -> None:
        super().__init__("here", plan)
        self.tank = tank

    async def monitor(self, ctx: Context) -> bool:
        return self.tank.low(ctx.now)

    async def analyse(self, ctx: Context, seen: bool) -> Finding | None:
        return Finding("tank", "leaks", {"at": ctx.now}) if seen else None

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        return Action("close the valve", ("valve",), {})

    async def execute(self, ctx: Context, action: Action) -> str:
        if self.tank.refuses:
            raise Problem("not-ready", "the valve is stuck")
        if self.tank.valve_works:
            self.tank.leak_until = ctx.now
        return "closed"


class Room:
    """A virtual world with one loop, its arbiter, and the records by stage."""

    def __init__(self, **plan: Any) -> None:
        self.tank = Tank()
        self.events: list[Event] = []
        settings = {"period_ns": S, "cooldown_ns": 5 * S, "verify_ns": 3 * S, **plan}
        self.loop = Valve(LoopPlan("valve", **settings), self.tank)
        kernel = Kernel([LoopArbiter("here"), self.loop])
        kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(kernel)
        self.world.begin()

    def steer(self, order: str) -> LoopStanding:
        return self.world.ask("loop.valve", SteerLoop(order))

    @property
    def records(self) -> list[tuple[int, str, str]]:
        return [(e.t // S, e.fields["stage"], e.fields["text"]) for e in self.events if e.event == "loop.record"]


def test_a_finding_that_lasts_is_acted_on_and_verified() -> None:
    room = Room(hold_off_ns=2 * S)
    room.world.run_until(20 * S)
    assert room.records == [
        (10, "analyse", "tank: leaks"),
        (12, "decide", "close the valve"),
        (12, "execute", "closed"),
        (13, "verify", "it helped"),
    ]
    standing = room.world.ask("loop.valve", GetLoop())
    assert (standing.actions, standing.helped, standing.state) == (1, 1, "watching")


def test_a_finding_that_passes_within_the_hold_off_is_left_alone() -> None:
    room = Room(hold_off_ns=3 * S)
    room.tank.leak_until = 12 * S
    room.world.run_until(30 * S)
    assert [stage for _, stage, _ in room.records] == ["analyse", "analyse"]
    assert room.records[-1][2] == "tank: leaks is over"


def test_what_does_not_help_is_said_and_tried_again_only_within_the_budget() -> None:
    room = Room(budget=2)
    room.tank.valve_works = False
    room.world.run_until(60 * S)
    assert sum(stage == "execute" for _, stage, _ in room.records) == 2
    assert (13, "verify", "tank: leaks is still there after 3 s") in room.records
    assert any("no more for now" in text for _, _, text in room.records)


def test_a_dry_run_only_writes_down() -> None:
    room = Room(dry_run=True)
    room.world.run_until(12 * S)
    assert room.records[-1] == (10, "execute", "dry run: nothing done")
    assert room.tank.low(12 * S)
    room.steer("wet-run")
    room.world.run_until(30 * S)
    assert not room.tank.low(30 * S)


def test_an_action_waits_for_approval_and_can_be_rejected() -> None:
    room = Room(approval=True)
    room.world.run_until(20 * S)
    assert room.records[-1][1] == "decide", "nothing is done before the operator speaks"
    assert room.steer("reject").state == "resting"
    room.world.run_until(40 * S)
    standing = room.steer("approve")
    assert standing.state == "verifying"
    assert not room.tank.low(40 * S)
    with pytest.raises(Problem, match="expected an action that waits"):
        room.steer("approve")


def test_what_waits_for_approval_is_withdrawn_when_the_finding_is_over() -> None:
    room = Room(approval=True)
    room.tank.leak_until = 15 * S
    room.world.run_until(20 * S)
    assert room.records[-1] == (15, "analyse", "tank: leaks is over")
    with pytest.raises(Problem, match="expected an action that waits"):
        room.steer("approve")


def test_a_paused_loop_does_nothing_until_it_is_resumed() -> None:
    room = Room()
    room.steer("pause")
    room.world.run_until(20 * S)
    assert not room.records
    room.steer("resume")
    room.world.run_until(22 * S)
    assert (21, "execute", "closed") in room.records
    with pytest.raises(Problem, match="expected pause, resume"):
        room.steer("explode")


def test_an_action_that_fails_is_recorded_and_its_lock_given_back() -> None:
    room = Room()
    room.tank.refuses = True
    room.world.run_until(11 * S)
    assert room.records[-1][2].startswith("failed: not-ready")
    assert room.world.ask(ARBITER, Lock("other", ("valve",), 0, S)) == Locked()


def test_a_stronger_loop_takes_a_lock_and_an_equal_one_does_not() -> None:
    room = Room()
    ask = room.world.ask
    assert ask(ARBITER, Lock("l1", ("fibre", "pool"), 1, 100 * S)) == Locked()
    with pytest.raises(Problem, match="found it locked by l1"):
        ask(ARBITER, Lock("l5", ("pool",), 1, S))
    assert ask(ARBITER, Lock("l2", ("fibre",), 2, 100 * S)) == Locked(("l1",))
    assert ask(ARBITER, Lock("l5", ("pool",), 1, S)) == Locked(), "a lost lock is lost as a whole"
    ask(ARBITER, Lock("l2", ("fibre",), 2, 100 * S))
    room.world.kernel.ask_from_outside(room.world.kernel.now, ARBITER, Unlock("l2"), lambda reply: None)
    room.world.run_until(S)
    assert ask(ARBITER, Lock("l6", ("fibre",), 0, S)) == Locked()


def test_a_lease_that_is_over_binds_nobody() -> None:
    room = Room()
    room.world.ask(ARBITER, Lock("l1", ("fibre",), 9, S))
    room.world.run_until(2 * S)
    assert room.world.ask(ARBITER, Lock("l2", ("fibre",), 0, S)) == Locked()


def test_a_loop_locked_out_says_by_whom() -> None:
    room = Room()
    room.world.ask(ARBITER, Lock("l2", ("valve",), 5, 100 * S))
    room.world.run_until(11 * S)
    assert "locked by l2" in room.records[-1][2]
    assert room.tank.low(11 * S)


def test_plans_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="expected a period"):
        LoopPlan("x", 0)
