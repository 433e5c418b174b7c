"""Several controllers of the fabric, one of which leads: the lease, what is wanted, and one name for Service.

Named approximation: this element stands for a replicated store of the kind that controllers keep such things in, which
agrees with itself and does not fail. If it is taken away all the same, nobody leads once the lease has run out, and
keys go on flowing by what stands in the relays.
"""

from __future__ import annotations

from typing import Any

from quoit.fabric import api
from quoit.fabric.api import (
    AcquireLease,
    Commissioned,
    CommissionNode,
    DrainLink,
    Flow,
    Flows,
    GetFlows,
    Lease,
    LinkDrained,
    OpenFlow,
    ReleasedFlows,
    ReleaseFlows,
    ReservedFlows,
    ReserveFlows,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message

WITHIN = 1_500_000_000
"""How long the leader may take: less than whoever asks waits for us."""
COMMISSION_WITHIN = 30_000_000_000
"""The same for a node that joins: several edits at its agent and its neighbours'."""


class ControlFront(Element):
    """Gives the lease to one instance at a time, each time with an epoch above all before."""

    stratum, plane = Stratum.FABRIC, Plane.CONTROL
    realises = ("A3", "C4")

    def __init__(self, place: str, after_epoch: int = 0) -> None:
        """`after_epoch`: the highest that was given out before."""
        super().__init__(api.CONTROLLER, place)
        self._holder = ""
        self._life = 0
        self._epoch = after_epoch
        self._until_ns = 0
        self._sessions: dict[str, ReserveFlows] = {}
        self._drained: set[str] = set()
        self._joined: dict[str, None] = {}

    @handles(AcquireLease)
    async def on_acquire(self, ctx: Context, msg: AcquireLease) -> Lease:
        # Who came back from a crash has another life, and somebody may still take it for who it was.
        reborn = self._holder == msg.holder and self._life != msg.life
        if reborn or ctx.now >= self._until_ns:
            # Also for the holder of before: it cannot know what it missed.
            self._epoch += 1
            self._holder, self._life = msg.holder, msg.life
            ctx.emit("control.leads", holder=msg.holder, epoch=self._epoch)
        if self._holder == msg.holder:
            self._until_ns = ctx.now + msg.ttl_ns
        sessions, drained = tuple(self._sessions.values()), tuple(sorted(self._drained))
        return Lease(self._holder, self._epoch, self._until_ns, sessions, drained, tuple(self._joined))

    @handles(OpenFlow)
    async def on_open(self, ctx: Context, msg: OpenFlow) -> Flow:
        answer: Flow = await self._handed_on(ctx, msg)
        return answer

    @handles(ReserveFlows)
    async def on_reserve(self, ctx: Context, msg: ReserveFlows) -> ReservedFlows:
        answer: ReservedFlows = await self._handed_on(ctx, msg)
        for loser in answer.preempted:
            self._sessions.pop(loser, None)
        self._sessions[msg.session] = msg
        return answer

    @handles(ReleaseFlows)
    async def on_release(self, ctx: Context, msg: ReleaseFlows) -> ReleasedFlows:
        self._sessions.pop(msg.session, None)
        answer: ReleasedFlows = await self._handed_on(ctx, msg)
        return answer

    @handles(DrainLink)
    async def on_drain(self, ctx: Context, msg: DrainLink) -> LinkDrained:
        answer: LinkDrained = await self._handed_on(ctx, msg)
        if msg.drain:
            self._drained.add(msg.link)
        else:
            self._drained.discard(msg.link)
        return answer

    @handles(CommissionNode)
    async def on_commission(self, ctx: Context, msg: CommissionNode) -> Commissioned:
        self._joined[msg.node] = None  # who leads next hears of it, too
        answer: Commissioned = await self._handed_on(ctx, msg, COMMISSION_WITHIN)
        return answer

    @handles(GetFlows)
    async def on_get_flows(self, ctx: Context, msg: GetFlows) -> Flows:
        found: Flows = await self._handed_on(ctx, msg)
        return found

    async def _handed_on(self, ctx: Context, msg: Message, within_ns: int = WITHIN) -> Any:
        if ctx.now >= self._until_ns:
            raise Problem("no-controller", "no controller of the fabric leads")
        try:
            return await ctx.ask(self._holder, msg, within=within_ns)
        except Problem as problem:
            if problem.code == "deadline":
                raise Problem("no-controller", f"{self._holder} leads and does not answer") from problem
            raise
