"""The Service stratum's control of shared states: gives units their turns at the network's memories and links.

It decides about the order of units and about which of them give way, and owns nothing: memories are kept by agents and
links by the fabric's control, whom pairs on request, programs and keys ask as well. So a turn is a leave to try, with
the unit's priority (`fabric.claims`), and the books here are put right by what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.service.states import HaveUnit
from quoit.service.turns import Claim, Turns

SCHEDULER = "service.states"
RETRY_NS = 200_000_000
"""Between tries of units that others, who are not in the books, keep from what they need."""
WATCH_NS, PRESENCE_NS = 2_000_000_000, 1_000_000_000


@message("service.WantTurn")
class WantTurn(Message):
    """An EME to the scheduler: a unit of its wants these memories, by node, and links. Answered by `Queued`; then comes
    `YourTurn` when it is time, or `GiveWay`. Problem `overloaded`."""

    unit_id: str
    lead: str
    originator: str
    priority: int
    memories: dict[str, int]
    links: tuple[str, ...]


@message("service.Queued")
class Queued(Message):
    """So many units wait before it."""

    ahead: int


@message("service.YourTurn")
class YourTurn(Message):
    """The scheduler to an EME: this unit may take what it needs now; answer by `TurnTaken` or `TurnFailed`."""

    unit_id: str


@message("service.TurnTaken")
class TurnTaken(Message):
    """It has, and keeps this."""

    unit_id: str
    memories: dict[str, int]
    links: tuple[str, ...]


@message("service.TurnFailed")
class TurnFailed(Message):
    """It could not, for want of these resources (`service.turns`), and has given all back."""

    unit_id: str
    short: dict[str, int]


@message("service.GiveWay")
class GiveWay(Message):
    """The scheduler to an EME: end this unit, another of that priority needs what it has, or waits in its place."""

    unit_id: str
    priority: int


@message("service.UnitSettled")
class UnitSettled(Message):
    """All states are made; the unit keeps these memories until they are used."""

    unit_id: str
    memories: dict[str, int]


@message("service.UnitFreed")
class UnitFreed(Message):
    """The party at this node has used up its qubits."""

    unit_id: str
    node: str


@message("service.UnitOver")
class UnitOver(Message):
    """The unit has ended and given everything back."""

    unit_id: str


@message("service.LookAgain")
class LookAgain(Message):
    """The scheduler to itself: somebody could not be served, look again."""


@message("service.WatchLeads")
class WatchLeads(Message):
    """The scheduler to itself: are those units still known to their EMEs?"""


class Scheduler(Element):
    """One for a network. `capacity`: memories by node."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("B6", "D1")

    def __init__(self, place: str, capacity: Mapping[str, int]) -> None:
        super().__init__(SCHEDULER, place)
        self._turns = Turns(capacity)
        self._looking = False
        self._watching = False

    @property
    def turns(self) -> Turns:
        """The books, for tests and observers."""
        return self._turns

    @handles(WantTurn)
    async def on_want(self, ctx: Context, msg: WantTurn) -> Queued:
        claim = Claim(
            msg.unit_id, msg.lead, msg.originator, msg.priority, dict(msg.memories), msg.links, since_ns=ctx.now
        )
        out = self._turns.enter(claim)
        if out is not None:
            self._send_away(ctx, out, claim)
        ahead = self._turns.ahead(claim, ctx.now)
        ctx.emit("turn.wanted", unit_id=msg.unit_id, priority=msg.priority, ahead=ahead)
        self._go_on(ctx)
        if not self._watching:
            self._watching = True
            ctx.tell(self.name, WatchLeads(), after=WATCH_NS)
        return Queued(ahead)

    @handles(TurnTaken)
    async def on_taken(self, ctx: Context, msg: TurnTaken) -> None:
        self._turns.took(msg.unit_id, msg.memories, msg.links)
        self._go_on(ctx)

    @handles(TurnFailed)
    async def on_failed(self, ctx: Context, msg: TurnFailed) -> None:
        ctx.emit("turn.failed", unit_id=msg.unit_id, short=dict(msg.short))
        self._turns.failed(msg.unit_id, msg.short)
        self._go_on(ctx)

    @handles(UnitSettled)
    async def on_settled(self, ctx: Context, msg: UnitSettled) -> None:
        self._turns.settled(msg.unit_id, msg.memories)
        self._go_on(ctx)

    @handles(UnitFreed)
    async def on_freed(self, ctx: Context, msg: UnitFreed) -> None:
        self._turns.freed(msg.unit_id, msg.node)
        self._go_on(ctx)

    @handles(UnitOver)
    async def on_over(self, ctx: Context, msg: UnitOver) -> None:
        self._turns.over(msg.unit_id)
        self._go_on(ctx)

    @handles(LookAgain)
    async def on_look(self, ctx: Context, msg: LookAgain) -> None:
        self._looking = False
        self._turns.changed()
        self._go_on(ctx)

    @handles(WatchLeads)
    async def on_watch(self, ctx: Context, msg: WatchLeads) -> None:
        """A unit whose EME has forgotten it, or is not there, holds nothing: its parties have noticed as well."""
        silent: set[str] = set()
        for claim in self._turns.all():
            try:
                if claim.lead in silent:
                    raise Problem("deadline")
                await ctx.ask(claim.lead, HaveUnit(claim.unit_id), within=PRESENCE_NS)
            except Problem as problem:
                if problem.code == "deadline":
                    silent.add(claim.lead)
                self._turns.over(claim.unit_id)
                ctx.emit("turn.lost", unit_id=claim.unit_id, eme=claim.lead)
        self._go_on(ctx)
        self._watching = len(self._turns) > 0
        if self._watching:
            ctx.tell(self.name, msg, after=WATCH_NS)

    def _go_on(self, ctx: Context) -> None:
        turns = self._turns
        for claim in turns.next(ctx.now):
            ctx.emit("turn.given", unit_id=claim.unit_id, priority=claim.granted)
            ctx.tell(claim.lead, YourTurn(claim.unit_id))
        for victim, winner in turns.victims(ctx.now):
            self._send_away(ctx, victim, winner)
        if not self._looking and turns.waiting(ctx.now):
            self._looking = True
            ctx.tell(self.name, LookAgain(), after=RETRY_NS)

    def _send_away(self, ctx: Context, victim: Claim, winner: Claim) -> None:
        ctx.emit("turn.preempted", unit_id=victim.unit_id, by=winner.unit_id, priority=winner.priority)
        ctx.tell(victim.lead, GiveWay(victim.unit_id, winner.priority))
