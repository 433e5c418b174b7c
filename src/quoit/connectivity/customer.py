"""A customer of Connectivity that has other light given to links when theirs will not do (D4, E3).

What a stratum's control needs that coordinates with Connectivity, whichever stratum it is: it hears of light that is
gone and of works, asks Connectivity where else a link could go (`FindLight`), takes the locks that closed loops take
too, orders the move (`RetuneChannel`), and sees whether it helped. What it decides on, who is asked first and whether
anything is done at all, is the stratum's own (`choose`).

News only change what is known of a link; a case is opened, replaced or closed by what is known. So news that were
missed, or come in another order, do no harm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from quoit.connectivity.cases import (
    CarryOut,
    Case,
    Cause,
    Consider,
    CustomerLink,
    CustomerPlan,
    LookAtWorks,
    Noise,
    Stage,
    Verify,
)
from quoit.connectivity.messages.channels import (
    CHANNEL_NEWS,
    SWITCHING,
    ChannelRow,
    GetInventory,
    InventoryRows,
    RetuneChannel,
)
from quoit.connectivity.messages.names import CONTROLLER, WORKS
from quoit.connectivity.messages.other_light import FindLight, LightFound, LightPlace
from quoit.connectivity.messages.paths import PATH_NEWS, PathDown, PathUp
from quoit.connectivity.messages.works import GIVEN_BACK, WORKS_NEWS, GetWorks, WorksRow, WorksRows
from quoit.model.problem import Problem
from quoit.planes.loop_locks import ARBITER, LOCK_NEWS, Lock, LockTaken, Unlock
from quoit.planes.noise_clicks import bearable
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, handles

WITHIN = 10_000_000_000
"""For a question, ns."""
SWITCHED_WITHIN = 600_000_000_000
"""For an order to the plant: no switch takes longer."""
TOGETHER_NS = 5_000_000
"""What one fault takes down is decided on together: its news come within this time."""
SETTLED_NS = 1_000_000
"""By then the news of light have come that an order's answer may have overtaken."""


class LightCustomer(Element, ABC):
    """Base of strata's coordinators. A stratum says which cases are to be seen to, in which order (`choose`), what a
    link's error rate is now (`qber`), and whether a link goes back to where it was when works are over (`goes_home`).
    """

    plane = Plane.CONTROL
    goes_home: ClassVar[bool] = True

    def __init__(self, name: str, place: str, plan: CustomerPlan) -> None:
        super().__init__(name, place)
        self.plan = plan
        self.links: dict[str, CustomerLink] = {one.link: one for one in plan.links}
        self.cases: dict[str, Case] = {}
        self.subscribes = (
            LOCK_NEWS,
            f"{PATH_NEWS}.*",
            f"{WORKS_NEWS}.*",
            *(f"{CHANNEL_NEWS}.{link}" for link in self.links),
        )
        self._rows: dict[str, ChannelRow] = {}
        self._down: set[str] = set()
        self._dark: dict[str, int] = {}
        self._noise: dict[str, Noise] = {}
        self._works: dict[str, WorksRow] = {}
        self._home: dict[str, ChannelRow] = {}
        self._taken: dict[str, deque[int]] = {}
        self._locked: dict[str, set[str]] = {}
        self._moved_ns: dict[str, int] = {}
        self._count = 0
        self._considering = self._again = False
        self._turn_ns = -1  # when the next turn is due that has been set for this element

    # -- a stratum's own ---------------------------------------------------------------------------------

    @abstractmethod
    async def choose(self, ctx: Context, cases: list[Case]) -> list[Case]:
        """Which of these are to be seen to now, in this order; the others are looked at again after a period."""

    @abstractmethod
    async def qber(self, ctx: Context, link: str) -> float | None:
        """A link's error rate by its last reading; None: nothing was read."""

    # -- what is known -----------------------------------------------------------------------------------

    async def start(self, ctx: Context) -> None:
        inventory: InventoryRows = await ctx.ask(CONTROLLER, GetInventory(), within=WITHIN)
        self._rows = {row.channel: row for row in inventory.channels if row.channel in self.links} | self._rows
        works: WorksRows = await ctx.ask(WORKS, GetWorks(), within=WITHIN)
        for row in works.rows:
            await self.on_works(ctx, row)
        await self.on_look_at_works(ctx, LookAtWorks())

    @handles(ChannelRow)
    async def on_channel(self, ctx: Context, msg: ChannelRow) -> None:
        if msg.state == SWITCHING:
            return
        was = self._rows.get(msg.channel)
        self._rows[msg.channel] = msg
        if was is not None and (was.spans, was.centre_mhz) != (msg.spans, msg.centre_mhz):
            self._moved_ns[msg.channel] = ctx.now  # by whomever
        self.look(ctx, msg.channel)

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        self._down.add(msg.link)
        if not msg.planned:
            self._dark[msg.link] = msg.at_ns
            self.look(ctx, msg.link)

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        self._down.discard(msg.link)
        self._dark.pop(msg.link, None)
        self.look(ctx, msg.link)

    @handles(WorksRow)
    async def on_works(self, ctx: Context, msg: WorksRow) -> None:
        known = self._works.get(msg.works)
        if msg.state == GIVEN_BACK:
            self._works.pop(msg.works, None)
        elif known is None or known.start_ns != msg.start_ns:  # new, or planned anew
            ctx.tell(self.name, LookAtWorks(), after=max(0, msg.start_ns - self.plan.lead_ns - ctx.now))
        if msg.state != GIVEN_BACK:
            self._works[msg.works] = msg
        await self.on_look_at_works(ctx, LookAtWorks())

    @handles(LookAtWorks)
    async def on_look_at_works(self, ctx: Context, msg: LookAtWorks) -> None:
        for link in self.links:
            self.look(ctx, link)

    def note_dark(self, ctx: Context, links: Iterable[str]) -> None:
        """These links are dark already: somebody says so who was there when it was news."""
        for link in links:
            self._down.add(link)
            self._dark.setdefault(link, ctx.now)
            self.look(ctx, link)

    def note_noise(self, ctx: Context, link: str, noise: Noise | None) -> None:
        """A link's error rate has risen, or (None) is normal again."""
        if noise is None:
            self._noise.pop(link, None)
        elif link in self.links and self.links[link].noisy:
            self._noise[link] = noise
        self.look(ctx, link)

    # -- cases -------------------------------------------------------------------------------------------

    def _trouble(self, ctx: Context, link: str) -> tuple[Cause, int] | None:
        """What is wrong with a link's light, the most urgent first, and from when on something may be done."""
        kept, row = self.links[link].kept, self._rows.get(link)
        if row is None:
            return None  # the inventory has not been read yet
        if link in self._dark and not kept:
            return Cause.DARK, self._dark[link] + self.plan.hold_off_ns
        soon = ctx.now + self.plan.lead_ns
        near = {span for works in self._works.values() if works.start_ns <= soon for span in works.spans}
        if not kept and not near.isdisjoint(row.spans):
            return Cause.WORKS, ctx.now
        if link in self._noise:
            at_ns, moved_ns = self._noise[link].at_ns, self._moved_ns.get(link, 0)
            if moved_ns > at_ns:
                return Cause.NOISE, moved_ns + self.plan.verify_ns  # it was moved since, for whatever reason
            # The reading that was suspect may have begun before what made it so: the next one is whole.
            return Cause.NOISE, at_ns + self.plan.reading_ns * 11 // 10
        home = self._home.get(link)
        taken = {span for works in self._works.values() for span in works.spans}
        if home is not None and self.goes_home and taken.isdisjoint(home.spans):
            return Cause.OVER, ctx.now
        return None

    def look(self, ctx: Context, link: str) -> None:
        """Open, replace or close a link's case by what is known now."""
        if link not in self.links:
            return
        case, found = self.cases.get(link), self._trouble(ctx, link)
        if case is not None:
            if case.stage is Stage.MOVING:
                return
            if found is not None and found[0] is case.cause:
                self._put_off(ctx, case, found[1])
                return
            self._close(ctx, case)
        if found is not None:
            self._open(ctx, link, *found)

    def _open(self, ctx: Context, link: str, cause: Cause, ready_ns: int) -> None:
        self._count += 1
        case = self.cases[link] = Case(link, cause, self._count, ctx.now, ready_ns)
        ctx.emit("coordination.found", by=str(self.stratum), link=link, cause=str(case.cause))
        self._set_turn(ctx, max(ctx.now + TOGETHER_NS, ready_ns))

    def _put_off(self, ctx: Context, case: Case, ready_ns: int) -> None:
        """Somebody else has moved the link meanwhile, and it is seen first whether that helps."""
        if case.stage is Stage.OPEN and ready_ns > max(case.ready_ns, ctx.now):
            case.ready_ns = ready_ns
            self._set_turn(ctx, ready_ns)

    def _close(self, ctx: Context, case: Case) -> None:
        del self.cases[case.link]
        self._unlock(ctx, case)
        if case.moved:
            ctx.emit("coordination.helped", by=str(self.stratum), link=case.link, cause=str(case.cause))

    def say(self, ctx: Context, case: Case, event: str, why: str) -> None:
        """Write down what comes of a case, unless it was the last thing that was said of it."""
        if case.said != event:
            ctx.emit(f"coordination.{event}", by=str(self.stratum), link=case.link, cause=str(case.cause), why=why)
            case.said = event

    def _wait(self, ctx: Context, case: Case, wait_ns: int | None = None) -> None:
        """Nothing more is done for a case until the cooldown, or so long, is over."""
        self._unlock(ctx, case)
        after = self.plan.cooldown_ns if wait_ns is None else wait_ns
        case.stage, case.ready_ns = Stage.OPEN, ctx.now + after
        self._set_turn(ctx, case.ready_ns)

    def is_down(self, link: str) -> bool:
        """Whether no light arrives on a link, for whatever reason."""
        return link in self._down

    def is_moving(self, link: str) -> bool:
        """Whether other light is on order for a link, or is there and not yet found wanting."""
        case = self.cases.get(link)
        return case is not None and case.stage is not Stage.OPEN

    async def reconsider(self, ctx: Context) -> None:
        """Decide anew on cases that were left alone."""
        if self.cases:
            await self.on_consider(ctx, Consider())

    def _set_turn(self, ctx: Context, at_ns: int) -> None:
        """Decide at this time, unless that is done sooner: every turn sets the next one."""
        if not ctx.now < self._turn_ns <= at_ns:
            self._turn_ns = at_ns
            ctx.tell(self.name, Consider(), after=at_ns - ctx.now)

    # -- deciding ----------------------------------------------------------------------------------------

    @handles(Consider)
    async def on_consider(self, ctx: Context, msg: Consider) -> None:
        self._again = True
        if self._considering:
            return
        self._considering = True
        try:
            while self._again:
                self._again = False
                await self._consider(ctx)
        finally:
            self._considering = False

    async def _consider(self, ctx: Context) -> None:
        ready = [case for case in self.cases.values() if case.stage is Stage.OPEN and case.ready_ns <= ctx.now]
        chosen = await self.choose(ctx, ready) if ready else []
        for case in chosen:
            if self.cases.get(case.link) is case:
                await self._seek(ctx, case)
        left = [max(case.ready_ns, ctx.now + self.plan.period_ns) if case in ready else case.ready_ns
                for case in self.cases.values() if case.stage is Stage.OPEN]  # fmt: skip
        if left:
            self._set_turn(ctx, max(ctx.now, min(left)))

    async def _seek(self, ctx: Context, case: Case) -> None:
        """Find other light for a link, lock what the move touches, and have it carried out."""
        if not self._within_budget(ctx.now, case.link):
            budget_s = self.plan.budget_ns / 1e9
            self.say(ctx, case, "refused", f"{self.plan.budget} moves within {budget_s:g} s: no more for now")
            self._wait(ctx, case)
            return
        try:
            case.place = await self._other_place(ctx, case)
            await self._lock(ctx, case)
        except Problem as problem:
            self.say(ctx, case, "refused", problem.detail or problem.row.title)
            self._wait(ctx, case)
            return
        if self.cases.get(case.link) is not case:  # it is over meanwhile
            self._unlock(ctx, case)
            return
        case.stage = Stage.MOVING
        place = case.place
        ctx.emit(
            "coordination.ordered", by=str(self.stratum), link=case.link, cause=str(case.cause),
            spans=list(place.spans), centre_mhz=place.centre_mhz,
        )  # fmt: skip
        ctx.tell(self.name, CarryOut(case.link, case.number))
        await ctx.sleep(1)  # its order leaves before the next link's question, whose answer depends on it

    def _within_budget(self, now: int, link: str) -> bool:
        taken = self._taken.setdefault(link, deque())
        while taken and taken[0] <= now - self.plan.budget_ns:
            taken.popleft()
        return len(taken) < self.plan.budget

    async def _other_place(self, ctx: Context, case: Case) -> LightPlace:
        """The least lossy place that will do. Problem if there is none."""
        link = self.links[case.link]
        quieter = None
        if case.cause is Cause.NOISE and not case.apart:
            noise = self._noise[case.link]
            now = await self.qber(ctx, case.link)
            quieter = min(1.0, bearable(noise.qber if now is None else now, noise.expected))
        wish = FindLight(
            link.link, self.plan.centres_mhz, self.plan.more_loss_db, case.apart, quieter, link.isolation_db
        )
        try:
            found: LightFound = await ctx.ask(CONTROLLER, wish, within=WITHIN)
        except Problem as problem:
            if case.cause is Cause.NOISE and problem.fields.get("noise_hz") == 0.0 and not case.apart:
                case.apart = True  # no light is known to be there: whatever it is, it is on these fibres
                return await self._other_place(ctx, case)
            raise
        if case.cause is Cause.OVER:
            return self._own_home(case.link, found)
        return found.places[0]

    def _own_home(self, link: str, found: LightFound) -> LightPlace:
        home = self._home[link]
        for place in found.places:
            if (place.spans, place.centre_mhz) == (home.spans, home.centre_mhz):
                return place
        raise Problem("no-route", f"expected {', '.join(home.spans)} to be free and to have light again")

    async def _lock(self, ctx: Context, case: Case) -> None:
        """Nobody else moves this link, or changes the spans that it leaves or enters, until it is known to be well.
        Links of one customer do not exclude each other: it has one lock for what all of them touch."""
        place, row = case.place, self._rows[case.link]
        assert place is not None
        touched = {f"link {case.link}", *(f"span {span}" for span in (*row.spans, *place.spans))}
        self._locked[case.link] = touched
        try:
            await ctx.ask(ARBITER, self._lock_for(self._locked), within=WITHIN)
        except Problem:
            self._locked.pop(case.link, None)  # what was locked before is still
            raise

    def _lock_for(self, touched: dict[str, set[str]]) -> Lock:
        lease_ns = self.plan.verify_ns + self.plan.cooldown_ns
        return Lock(self.name, tuple(sorted(set[str]().union(*touched.values()))), self.plan.priority, lease_ns)

    def _unlock(self, ctx: Context, case: Case) -> None:
        if self._locked.pop(case.link, None) is not None:
            ctx.tell(ARBITER, self._lock_for(self._locked) if self._locked else Unlock(self.name))

    # -- acting ------------------------------------------------------------------------------------------

    @handles(CarryOut)
    async def on_carry_out(self, ctx: Context, msg: CarryOut) -> None:
        case = self.cases.get(msg.link)
        if case is None or case.number != msg.number or case.place is None:
            return
        before, began_ns = self._rows[case.link], ctx.now
        self._taken[case.link].append(ctx.now)
        order = RetuneChannel(case.link, case.place.spans, case.place.centre_mhz)
        try:
            row: ChannelRow = await ctx.ask(CONTROLLER, order, within=SWITCHED_WITHIN)
        except Problem as problem:
            self.say(ctx, case, "refused", problem.detail or problem.row.title)
            self._wait(ctx, case)
            self.look(ctx, case.link)
            return
        took_ms = (ctx.now - began_ns) / 1e6
        await ctx.sleep(SETTLED_NS)
        self._rows[case.link] = row
        self._settled(ctx, case, before)
        ctx.count("quoit_light_moves_total", (str(self.stratum), str(case.cause)))
        ctx.emit(
            "coordination.moved", by=str(self.stratum), link=case.link, cause=str(case.cause),
            spans=list(row.spans), centre_mhz=row.centre_mhz, took_ms=took_ms,
        )  # fmt: skip
        ctx.tell(self.name, Verify(case.link, case.number), after=self.plan.verify_ns)
        self.look(ctx, case.link)

    def _settled(self, ctx: Context, case: Case, before: ChannelRow) -> None:
        case.stage, case.moved, case.said = Stage.VERIFYING, True, ""
        self._moved_ns[case.link] = ctx.now
        if case.link in self._down:  # the new fibres were lost while the link was on its way to them
            self._dark.setdefault(case.link, ctx.now)
        if case.cause is Cause.OVER:
            self._home.pop(case.link, None)
        elif case.cause is Cause.WORKS:
            self._home.setdefault(case.link, before)

    @handles(Verify)
    async def on_verify(self, ctx: Context, msg: Verify) -> None:
        case = self.cases.get(msg.link)
        if case is None or case.number != msg.number or case.stage is not Stage.VERIFYING:
            return
        case.apart = case.apart or case.cause is Cause.NOISE
        self.say(ctx, case, "in_vain", f"not helped within {self.plan.verify_ns / 1e9:g} s")
        self._wait(ctx, case)

    @handles(LockTaken)
    async def on_lock_taken(self, ctx: Context, msg: LockTaken) -> None:
        """Somebody stronger works on the same: what has been ordered stays ordered, and is theirs to judge now."""
        if msg.loop != self.name:
            return
        self._locked.clear()
        for case in list(self.cases.values()):
            if case.stage is Stage.VERIFYING:
                self.say(ctx, case, "preempted", f"locked by {msg.by}")
                self._wait(ctx, case, self.plan.verify_ns)
