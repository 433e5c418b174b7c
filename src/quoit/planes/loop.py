"""Closed loops: monitor, analyse, decide, execute, verify (G2).

A loop is an element of some stratum's management that runs the same four questions once a period of *simulated* time.
What is written once, here: a finding must last for the hold-off before anything is done; the resources that an action
touches are locked, and of two loops that want the same the one of higher priority has it; an action may need an
operator's approval, or be only written down (dry run); after an action the loop watches whether it helped, and rests
for the cooldown; a loop does not act more often than its budget allows. So an analysis may be a formula, a trained
model or a guess: what can come of it is bounded. Every step is a `LoopRecord` on the stream `loop.<name>`.

Stages and the loop's life are those of ETSI GS ZSM 009-1 (monitoring, analysis, decision, execution; pause, resume).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from quoit.model.problem import Problem
from quoit.planes.loop_locks import ARBITER, LOCK_NEWS, Lock, LockTaken, Unlock
from quoit.planes.management import AlarmBook, Alarms, GetAlarms
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, handles
from quoit.runtime.wire import Message, message

LOOP_NEWS = "loop"
"""Subjects are `loop.<name>`."""
RECORDS_KEPT = 100
ASK_WITHIN_NS = 1_000_000_000


def loop_element(name: str) -> str:
    """Name of the element that is the loop of this name."""
    return f"loop.{name}"


class LoopState(StrEnum):
    """Where a loop stands."""

    WATCHING = "watching"
    HOLDING_OFF = "holding off"
    AWAITING_APPROVAL = "awaiting approval"
    EXECUTING = "executing"
    VERIFYING = "verifying"
    RESTING = "resting"
    PAUSED = "paused"


@dataclass(frozen=True)
class LoopPlan:
    """How a loop runs. `hold_off_ns`: how long a finding must last. `verify_ns`: how long an action may take to help.
    `cooldown_ns`: rest after it. `priority`: 0 yields to all. `budget`: actions within `budget_ns`, at most."""

    name: str
    period_ns: int
    hold_off_ns: int = 0
    verify_ns: int = 30_000_000_000
    cooldown_ns: int = 30_000_000_000
    priority: int = 0
    budget: int = 6
    budget_ns: int = 600_000_000_000
    dry_run: bool = False
    approval: bool = False

    def __post_init__(self) -> None:
        if self.period_ns <= 0 or min(self.hold_off_ns, self.verify_ns, self.cooldown_ns) < 0 or self.budget < 1:
            raise ValueError(
                f"{self.name}: expected a period, no negative waits and a budget of at least 1; found {self}"
            )


@dataclass(frozen=True)
class Finding:
    """What an analysis says is wrong. Two findings of one `about` and `cause` are the same one going on.
    `evidence`: plain values that show it."""

    about: str
    cause: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Action:
    """What a decision wants done. `resources`: what must not be touched by another loop meanwhile."""

    what: str
    resources: tuple[str, ...]
    fields: dict[str, Any]


@message("planes.LoopRecord")
class LoopRecord(Message):
    """News: one step of a loop. `stage`: monitor, analyse, decide, execute, verify. `number` counts the loop's
    actions; 0 before the first."""

    loop: str
    stage: str
    number: int
    text: str
    fields: dict[str, Any]
    at_ns: int


@message("planes.LoopTurn")
class LoopTurn(Message):
    """To itself: the next period."""


@message("planes.SteerLoop")
class SteerLoop(Message):
    """From an operator: pause, resume, dry-run, wet-run, approve or reject (the action that waits)."""

    order: str


@message("planes.GetLoop")
class GetLoop(Message):
    """How does the loop stand? Answered with `LoopStanding`."""


@message("planes.LoopStanding")
class LoopStanding(Message):
    """A loop's state, its finding and action under way, and its last records, oldest first."""

    loop: str
    state: str
    dry_run: bool
    approval: bool
    finding: str | None
    action: str | None
    actions: int
    helped: int
    records: tuple[LoopRecord, ...]


@message("planes.LoopStandings")
class LoopStandings(Message):
    """Several loops, by name."""

    loops: tuple[LoopStanding, ...]


@message("planes.LoopOrder")
class LoopOrder(Message):
    """An operator's order for the loop of this name. `order`: see `SteerLoop`."""

    loop: str
    order: str


class ClosedLoop(Element):
    """Base of loops. A loop says what it sees (`monitor`), what is wrong (`analyse`), what to do about it (`decide`)
    and does it (`execute`); it may refine what counts as help (`helped`). All five may ask other elements."""

    plane = Plane.MANAGEMENT
    subscribes: tuple[str, ...] = (LOCK_NEWS,)

    def __init__(self, place: str, plan: LoopPlan) -> None:
        super().__init__(loop_element(plan.name), place)
        self.alarms = AlarmBook(self.stratum)
        self.plan = plan
        self._state = LoopState.WATCHING
        self._dry_run = plan.dry_run
        self._busy = False
        self._finding: Finding | None = None
        self._found_ns = 0
        self._helpless: tuple[str, str] | None = None  # about what nothing can be done: said once
        self._action: Action | None = None
        self._until_ns = 0
        self._taken: deque[int] = deque()
        self._actions = 0
        self._helped = 0
        self._records: deque[LoopRecord] = deque(maxlen=RECORDS_KEPT)

    # what a loop is

    async def monitor(self, ctx: Context) -> Any:
        """What there is to see; anything that `analyse` understands."""
        raise NotImplementedError

    async def analyse(self, ctx: Context, seen: Any) -> Finding | None:
        """What is wrong, or None."""
        raise NotImplementedError

    async def decide(self, ctx: Context, finding: Finding) -> Action | None:
        """What to do, or None if nothing can be done."""
        raise NotImplementedError

    async def execute(self, ctx: Context, action: Action) -> str:
        """Do it; says what was done. A `Problem` says that it could not be done."""
        raise NotImplementedError

    async def helped(self, ctx: Context, finding: Finding, seen: Any) -> bool:
        """Is the finding gone?"""
        still = await self.analyse(ctx, seen)
        return still is None or (still.about, still.cause) != (finding.about, finding.cause)

    # what all loops do

    @property
    def acting(self) -> bool:
        """Whether an action is under way, or waits, or is being verified."""
        return self._action is not None

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, LoopTurn(), after=self.plan.period_ns)

    @handles(LoopTurn)
    async def on_turn(self, ctx: Context, msg: LoopTurn) -> None:
        ctx.tell(self.name, LoopTurn(), after=self.plan.period_ns)
        if self._busy or self._state is LoopState.PAUSED:
            return
        self._busy = True
        try:
            await self._turn(ctx)
        except Problem as problem:
            self._record(ctx, "monitor", f"nothing to see: {problem}", {"code": problem.code})
        finally:
            self._busy = False

    async def _turn(self, ctx: Context) -> None:
        if self._state is LoopState.RESTING and ctx.now < self._until_ns:
            return
        seen = await self.monitor(ctx)
        if self._state is LoopState.AWAITING_APPROVAL:
            if self._finding is not None and await self.helped(ctx, self._finding, seen):
                self._action = None
                self._calm(ctx)
            return
        if self._state is LoopState.VERIFYING:
            await self._verify(ctx, seen)
            return
        found = await self.analyse(ctx, seen)
        if found is None:
            self._calm(ctx)
            return
        if self._finding is None or (found.about, found.cause) != (self._finding.about, self._finding.cause):
            self._found_ns = ctx.now
            if self._helpless != (found.about, found.cause):
                self._record(ctx, "analyse", f"{found.about}: {found.cause}", found.evidence)
        self._finding = found
        if ctx.now - self._found_ns < self.plan.hold_off_ns:
            self._state = LoopState.HOLDING_OFF
            return
        await self._act(ctx, found)

    def _calm(self, ctx: Context) -> None:
        if self._finding is not None:
            self._record(ctx, "analyse", f"{self._finding.about}: {self._finding.cause} is over", {})
        self._finding = self._helpless = None
        self._state = LoopState.WATCHING

    async def _act(self, ctx: Context, finding: Finding) -> None:
        action = await self.decide(ctx, finding)
        if action is None:
            if self._helpless != (finding.about, finding.cause):
                self._record(ctx, "decide", "nothing can be done", {})
            self._helpless = finding.about, finding.cause
            self._rest(ctx)
            return
        self._helpless = None
        if not self._within_budget(ctx.now):
            text = f"{self.plan.budget} actions within {self.plan.budget_ns / 1e9:g} s: no more for now"
            self._record(ctx, "decide", text, {"would": action.what})
            self._rest(ctx)
            return
        self._actions += 1
        self._record(ctx, "decide", action.what, {**action.fields, "resources": list(action.resources)})
        self._action = action
        if self._dry_run:
            self._record(ctx, "execute", "dry run: nothing done", {})
            self._rest(ctx)
        elif self.plan.approval:
            self._state = LoopState.AWAITING_APPROVAL
        else:
            await self._execute(ctx, action)

    async def _execute(self, ctx: Context, action: Action) -> None:
        self._state = LoopState.EXECUTING
        lease_ns = self.plan.verify_ns + self.plan.cooldown_ns + ASK_WITHIN_NS
        lock = Lock(self.name, action.resources, self.plan.priority, lease_ns)
        try:
            await ctx.ask(ARBITER, lock, within=ASK_WITHIN_NS)
        except Problem as problem:
            self._record(ctx, "execute", f"not done: {problem}", {"code": problem.code})
            self._rest(ctx)
            return
        self._taken.append(ctx.now)
        try:
            done = await self.execute(ctx, action)
        except Problem as problem:
            self._record(ctx, "execute", f"failed: {problem}", {"code": problem.code})
            self._rest(ctx)
            return
        self._record(ctx, "execute", done, {})
        self._state = LoopState.VERIFYING
        self._until_ns = ctx.now + self.plan.verify_ns

    async def _verify(self, ctx: Context, seen: Any) -> None:
        finding = self._finding
        if finding is not None and not await self.helped(ctx, finding, seen):
            if ctx.now >= self._until_ns:
                text = f"{finding.about}: {finding.cause} is still there after {self.plan.verify_ns / 1e9:g} s"
                self._record(ctx, "verify", text, finding.evidence)
                self._rest(ctx)
            return
        self._helped += 1
        self._record(ctx, "verify", "it helped", {})
        self._rest(ctx)

    def _rest(self, ctx: Context) -> None:
        if self._action is not None:
            ctx.tell(ARBITER, Unlock(self.name))
        self._action = None
        self._finding = None
        self._state = LoopState.RESTING
        self._until_ns = ctx.now + self.plan.cooldown_ns

    def _within_budget(self, now: int) -> bool:
        while self._taken and self._taken[0] <= now - self.plan.budget_ns:
            self._taken.popleft()
        return len(self._taken) < self.plan.budget

    def _record(self, ctx: Context, stage: str, text: str, fields: dict[str, Any]) -> None:
        record = LoopRecord(self.plan.name, stage, self._actions, text, fields, ctx.now)
        self._records.append(record)
        ctx.emit("loop.record", loop=self.plan.name, stage=stage, number=self._actions, text=text, fields=fields)
        ctx.count("quoit_loop_records_total", (self.plan.name, stage))
        ctx.publish(f"{LOOP_NEWS}.{self.plan.name}", record)

    @handles(LockTaken)
    async def on_lock_taken(self, ctx: Context, msg: LockTaken) -> None:
        """A stronger loop works on the same: what has been done stays done, and is that loop's to judge now."""
        if msg.loop != self.name or self._action is None:
            return
        self._record(ctx, "execute", f"pre-empted by {msg.by.removeprefix('loop.')}", {"action": self._action.what})
        if self._state is LoopState.VERIFYING:
            self._rest(ctx)

    @handles(GetAlarms)
    async def on_alarms(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self.alarms.standing

    @handles(SteerLoop)
    async def on_steer(self, ctx: Context, msg: SteerLoop) -> LoopStanding:
        waiting = self._action if self._state is LoopState.AWAITING_APPROVAL else None
        if self._busy and msg.order in ("pause", "approve", "reject"):
            raise Problem("bad-transition", "expected a loop between two turns; it is at work, ask again")
        if msg.order == "pause":
            self._rest(ctx)
            self._state = LoopState.PAUSED
        elif msg.order == "resume" and self._state is LoopState.PAUSED:
            self._state = LoopState.WATCHING
        elif msg.order in ("dry-run", "wet-run"):
            self._dry_run = msg.order == "dry-run"
        elif msg.order == "approve" and waiting is not None:
            self._record(ctx, "execute", "approved", {})
            self._busy = True
            try:
                await self._execute(ctx, waiting)
            finally:
                self._busy = False
        elif msg.order == "reject" and waiting is not None:
            self._record(ctx, "execute", "rejected by the operator", {})
            self._rest(ctx)
        elif msg.order in ("approve", "reject", "resume"):
            raise Problem(
                "bad-transition", f"expected an action that waits or a paused loop; the loop is {self._state}"
            )
        else:
            known = "pause, resume, dry-run, wet-run, approve or reject"
            raise Problem("malformed", f"expected {known}; found {msg.order!r}")
        return self._standing()

    @handles(GetLoop)
    async def on_get(self, ctx: Context, msg: GetLoop) -> LoopStanding:
        return self._standing()

    def _standing(self) -> LoopStanding:
        finding, action = self._finding, self._action
        return LoopStanding(
            self.plan.name,
            str(self._state),
            self._dry_run,
            self.plan.approval,
            None if finding is None else f"{finding.about}: {finding.cause}",
            None if action is None else action.what,
            self._actions,
            self._helped,
            tuple(self._records),
        )
