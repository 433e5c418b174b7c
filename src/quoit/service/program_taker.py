"""Pairs for programs of hosts: the end that takes part, and gives its memories to the pairs of offers in order."""

from __future__ import annotations

from quoit.fabric.api import FreeSlots, memory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import PairsFailed, PairsMatched, QnpuHeard
from quoit.service.program_end import ProgramEnd
from quoit.service.program_state import (
    LONGEST_LACK_NS,
    MEASURE,
    MOST_REQUESTS,
    RETRY_NS,
    WITHIN,
    BreakOff,
    Door,
    Half,
    MatchDoor,
    Offered,
    OfferPairs,
    PairSlot,
    Taking,
    WithdrawOffer,
    door_of,
    lack_of,
)


class PairTaker(ProgramEnd):
    """The end that takes part in what others create."""

    @handles(OfferPairs)
    async def on_offer(self, ctx: Context, msg: OfferPairs) -> QnpuHeard:
        door = (msg.remote_socket, msg.node, msg.socket)
        waiting = self._offers.setdefault(door, [])
        if len(waiting) >= MOST_REQUESTS:
            raise Problem("overloaded", f"{MOST_REQUESTS} offers of pairs wait at {self._node}")
        waiting.append(Offered(msg))
        ctx.tell(self.name, MatchDoor(door))
        return QnpuHeard()

    @handles(MatchDoor)
    async def on_match(self, ctx: Context, msg: MatchDoor) -> None:
        await self._match(ctx, msg.door)

    async def _match(self, ctx: Context, door: Door) -> None:
        """Give the next pairs of the socket's offers to those who take part, as far as there are memories."""
        if door in self._matching:
            return  # whoever is at it looks again
        self._matching.add(door)
        try:
            while await self._assign(ctx, door):
                pass
        finally:
            self._matching.discard(door)

    async def _assign(self, ctx: Context, door: Door) -> bool:
        """One pair; False if that is not possible now."""
        offered = next((o for o in self._offers.get(door, ()) if o.assigned < o.offer.pairs), None)
        taking = next((t for t in self._taking.values() if door_of(t.want) == door and t.assigned < t.want.pairs), None)
        if offered is None or taking is None:
            return False
        if offered not in taking.told:
            taking.told.append(offered)
            self._publish(ctx, PairsMatched(self._node, taking.want.request, offered.offer.kind))
        if offered.offer.kind == MEASURE:
            if offered.busy:
                return False
            slot = await self._reserve(ctx, offered.offer.circuit)
            if slot is None:
                await self._lack(ctx, offered, door)
                return False
            if taking.ended or offered.ended:
                await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)
                return True
            offered.busy, offered.lacking_ns = True, None
            taking.reserved.add(slot)
        elif taking.grants:
            slot = taking.grants.popleft()
        else:
            return False
        self._coming[slot] = Half(taking, taking.assigned, ctx.now, offered)
        taking.assigned, offered.assigned = taking.assigned + 1, offered.assigned + 1
        ctx.tell(offered.peer, PairSlot(offered.offer.request, slot))
        return True

    async def _lack(self, ctx: Context, offered: Offered, door: Door) -> None:
        offered.lacking_ns = ctx.now if offered.lacking_ns is None else offered.lacking_ns
        if ctx.now - offered.lacking_ns < LONGEST_LACK_NS:
            ctx.tell(self.name, MatchDoor(door), after=RETRY_NS)
        else:
            ctx.tell(offered.peer, BreakOff(offered.offer.request, "NORES", lack_of(self._node)))

    @handles(WithdrawOffer)
    async def on_withdraw(self, ctx: Context, msg: WithdrawOffer) -> QnpuHeard:
        for door, waiting in list(self._offers.items()):
            for offered in waiting:
                if (offered.offer.node, offered.offer.request) == (msg.node, msg.request):
                    self._forget_offer(door, offered)
                    for taking in [t for t in self._taking.values() if offered in t.told]:
                        await self._expire(ctx, taking, msg.text)
                    return QnpuHeard()
        return QnpuHeard()

    async def _expire(self, ctx: Context, taking: Taking, text: str) -> None:
        if self._taking.pop(taking.want.request, None) is not None:
            self._publish(ctx, PairsFailed(self._node, taking.want.request, "EXPIRE", text))
            await self._end_taking(ctx, taking, "EXPIRE", text)

    async def _end_taking(self, ctx: Context, taking: Taking, code: str, text: str) -> None:
        """Take no more part; offers that its program knew of fail at their creator's, too."""
        taking.ended = True
        for offered in [o for o in taking.told if not o.ended]:
            try:
                await ctx.ask(offered.peer, BreakOff(offered.offer.request, code, text), within=WITHIN)
            except Problem as problem:
                ctx.log.warning("offer.not_broken_off", peer=offered.peer, code=problem.code)
        self._forget(taking)
        await self._free(ctx, taking.reserved)

    def _forget_offer(self, door: Door, offered: Offered) -> None:
        offered.ended = True
        waiting = self._offers.get(door, [])
        if offered in waiting:
            waiting.remove(offered)
        if not waiting:
            self._offers.pop(door, None)

    async def _taken(self, ctx: Context, taking: Taking, offered: Offered) -> None:
        taking.done, offered.done, offered.busy = taking.done + 1, offered.done + 1, False
        door = door_of(taking.want)
        if offered.done == offered.offer.pairs:
            self._forget_offer(door, offered)
        if taking.done == taking.want.pairs:
            taking.ended = True
            self._taking.pop(taking.want.request, None)
        await self._match(ctx, door)
