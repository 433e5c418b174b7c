"""Pairs for programs of hosts: who asks whom, whose memory is next, which half came where.

Pairs of a socket are numbered; its ends take part in them in order. The creator's end leads: it tells the other end
what it wants, hears of a memory there for each pair, and has control open one circuit for the whole request, however
many links that takes. A half that is measured at once needs a memory as any other: it is taken for that pair alone.

Link and network service are not asked for these pairs, though they use the same memories and circuits: they choose the
memories themselves, and answer whoever has said once that it receives. Here a program names a memory for each half, and
both ends ask for each pair.
"""

from __future__ import annotations

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    FreeSlots,
    HalfReady,
    OpenCircuit,
    PairPlan,
    PlanPairs,
    RenewHalf,
    memory,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import DropPairs, GrantQubit, PairsFailed, QnpuHeard, WantPairs, qnpu
from quoit.service.program_state import (
    KEEP,
    LONGEST_LACK_NS,
    MOST_REQUESTS,
    RETRY_NS,
    WITHIN,
    BreakOff,
    CheckLate,
    DriveRequest,
    Half,
    Making,
    MatchDoor,
    OfferPairs,
    PairSlot,
    Taking,
    WithdrawOffer,
    circuit_of,
    door_of,
    lack_of,
    news_of,
    reading_of,
)
from quoit.service.program_taker import PairTaker


class ProgramPairs(PairTaker):
    """The part of a quantum network processing unit that gets pairs: the creator's end, and what comes to either."""

    # -- what programs ask ---------------------------------------------------------------------------

    @handles(WantPairs)
    async def on_want(self, ctx: Context, msg: WantPairs) -> QnpuHeard:
        if len(self._making) + len(self._taking) >= MOST_REQUESTS:
            raise Problem("overloaded", f"{MOST_REQUESTS} requests for pairs are under way at {self._node}")
        if not msg.creator:
            self._taking[msg.request] = Taking(msg)
            ctx.tell(self.name, MatchDoor(door_of(msg)))
            return QnpuHeard()
        first = self._pairs_to.get(msg.remote, 0)
        self._pairs_to[msg.remote] = first + msg.pairs
        # Known from now on, since grants follow at once; busy until the other end has heard.
        making = Making(msg, qnpu(msg.remote), f"{self.name}/{msg.request}", first, busy=True)
        self._making[msg.request] = making
        try:
            making.fidelity = await self._floor(ctx, msg)
            if not making.ended:
                await self._offer(ctx, making)
        except Problem:
            making.ended = True
            self._making.pop(msg.request, None)
            raise
        making.busy = False
        self._limit(ctx, making)
        ctx.tell(self.name, DriveRequest(msg.request))
        return QnpuHeard()

    async def _offer(self, ctx: Context, making: Making) -> None:
        want = making.want
        offer = OfferPairs(
            want.request, self._node, want.socket, want.remote_socket, want.pairs, want.kind, want.far, making.circuit,
            making.first,
        )  # fmt: skip
        await ctx.ask(making.peer, offer, within=WITHIN)
        if making.ended:
            await self._withdraw(ctx, making, f"{self._node} has ended its part in the request")

    async def _floor(self, ctx: Context, msg: WantPairs) -> float:
        """What every pair must have when it is delivered. Problem `fidelity-unreachable` with the best there is."""
        ask = PlanPairs(self._node, msg.remote, idle=True)  # what others use now is waited for
        plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, ask, within=WITHIN)
        best = (1 + sum(plan.state)) / 4
        if msg.fidelity is None:
            return min(best, (0.5 + best) / 2)
        if msg.fidelity > best:
            raise Problem("fidelity-unreachable", f"expected at most {best:.4f}, found {msg.fidelity:g}", best=best)
        return msg.fidelity

    @handles(GrantQubit)
    async def on_grant(self, ctx: Context, msg: GrantQubit) -> QnpuHeard:
        making, taking = self._making.get(msg.request), self._taking.get(msg.request)
        if making is not None:
            making.own.append(msg.slot)
            ctx.tell(self.name, DriveRequest(msg.request))
        elif taking is not None:
            taking.grants.append(msg.slot)
            ctx.tell(self.name, MatchDoor(door_of(taking.want)))
        return QnpuHeard()

    @handles(DropPairs)
    async def on_drop(self, ctx: Context, msg: DropPairs) -> QnpuHeard:
        making, taking = self._making.get(msg.request), self._taking.pop(msg.request, None)
        if making is not None:
            await self._end_making(ctx, making, f"{self._node} has ended its part in the request")
        elif taking is not None:
            await self._end_taking(ctx, taking, "EXPIRE", f"{self._node} has ended its part in the request")
        return QnpuHeard()

    # -- the creator's end ---------------------------------------------------------------------------

    @handles(PairSlot)
    async def on_slot(self, ctx: Context, msg: PairSlot) -> None:
        making = self._making.get(msg.request)
        if making is not None:
            making.theirs.append(msg.slot)
            await self._drive(ctx, making)

    @handles(DriveRequest)
    async def on_drive(self, ctx: Context, msg: DriveRequest) -> None:
        making = self._making.get(msg.request)
        if making is not None:
            await self._drive(ctx, making)

    async def _drive(self, ctx: Context, making: Making) -> None:
        """Begin with as many pairs as there are memories for."""
        if making.busy:
            return  # whoever is at it looks again
        making.busy = True
        try:
            while not making.ended and making.begun < making.want.pairs:
                if making.want.kind != KEEP and not making.own and not await self._reserve_own(ctx, making):
                    return
                if not (making.own and making.theirs):
                    return
                await self._begin(ctx, making)
        except Problem as problem:
            await self._fail(ctx, making, "NORES", problem.detail or problem.row.title)
        finally:
            making.busy = False

    async def _reserve_own(self, ctx: Context, making: Making) -> bool:
        """A memory for the next half that is measured here; one at a time."""
        if making.reserved:
            return False
        slot = await self._reserve(ctx, making.circuit)
        if slot is None:
            making.lacking_ns = ctx.now if making.lacking_ns is None else making.lacking_ns
            if ctx.now - making.lacking_ns >= LONGEST_LACK_NS:
                raise Problem("no-memory", lack_of(self._node))
            ctx.tell(self.name, DriveRequest(making.want.request), after=RETRY_NS)
            return False
        if making.ended:
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)
            return False
        making.lacking_ns = None
        making.reserved.add(slot)
        making.own.append(slot)
        return True

    async def _begin(self, ctx: Context, making: Making) -> None:
        head, tail = making.own.popleft(), making.theirs.popleft()
        self._coming[head] = Half(making, making.begun, ctx.now)
        making.begun += 1
        if making.opened:
            await ctx.ask(PAIR_CONTROLLER, RenewHalf(making.circuit, head, tail), within=WITHIN)
            return
        making.opened = True
        order = OpenCircuit(
            making.circuit, self._node, making.want.remote, making.fidelity, (head,), (tail,), self.name, making.peer,
            claim=making.circuit,
        )  # fmt: skip
        until = ctx.now + LONGEST_LACK_NS
        while not making.ended:
            try:
                await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
                break
            except Problem as problem:
                lacking = problem.code == "no-memory" or problem.fields.get("busy")
                if not lacking or ctx.now >= until:
                    raise
            await ctx.sleep(RETRY_NS)
        if making.ended:
            await self._close(ctx, making)

    def _limit(self, ctx: Context, making: Making) -> None:
        if making.want.within_ns is not None:
            ctx.tell(self.name, CheckLate(making.want.request, making.done), after=making.want.within_ns)

    @handles(CheckLate)
    async def on_late(self, ctx: Context, msg: CheckLate) -> None:
        making = self._making.get(msg.request)
        if making is not None and making.done == msg.done:
            within_s = (making.want.within_ns or 0) / 1e9
            await self._fail(ctx, making, "TIMEOUT", f"no pair within {within_s} s")

    @handles(BreakOff)
    async def on_break(self, ctx: Context, msg: BreakOff) -> QnpuHeard:
        making = self._making.get(msg.request)
        if making is not None:
            await self._fail(ctx, making, msg.code, msg.text)
        return QnpuHeard()

    async def _fail(self, ctx: Context, making: Making, code: str, text: str) -> None:
        if not making.ended:
            await self._end_making(ctx, making, text)
            self._publish(ctx, PairsFailed(self._node, making.want.request, code, text))

    async def _end_making(self, ctx: Context, making: Making, text: str) -> None:
        """End a request whose pairs are not all there. Afterwards nothing comes to a memory of it, at either end."""
        if making.ended:
            return
        making.ended = True
        del self._making[making.want.request]
        self._forget(making)
        if making.opened:
            await self._close(ctx, making)
            await ctx.sleep(self._settle_ns)
        await self._free(ctx, making.reserved)
        await self._withdraw(ctx, making, text)

    async def _withdraw(self, ctx: Context, making: Making, text: str) -> None:
        try:
            withdraw = WithdrawOffer(making.want.request, self._node, text)
            await ctx.ask(making.peer, withdraw, within=WITHIN)
        except Problem as problem:
            ctx.log.warning("offer.not_withdrawn", peer=making.peer, code=problem.code)

    async def _close(self, ctx: Context, making: Making) -> None:
        try:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(making.circuit), within=WITHIN)
        except Problem as problem:
            ctx.log.warning("circuit.not_closed", circuit=making.circuit, code=problem.code)

    async def _made(self, ctx: Context, making: Making) -> None:
        making.done += 1
        if making.done < making.want.pairs:
            self._limit(ctx, making)
            await self._drive(ctx, making)
        elif not making.ended:
            making.ended = True
            del self._making[making.want.request]
            await self._close(ctx, making)

    # -- halves that come ----------------------------------------------------------------------------

    @handles(HalfReady)
    async def on_half(self, ctx: Context, msg: HalfReady) -> None:
        half = self._coming.get(msg.slot)
        if half is None or msg.circuit != circuit_of(half):
            # Its request ended while it was on its way.
            await self._act(ctx, "discard", (msg.slot,))
            return
        del self._coming[msg.slot]
        reading = reading_of(half)
        outcome: int | None = None
        basis = 0
        if reading is not None:
            try:
                outcome, basis = await self._read(ctx, msg.slot, reading)
                half.of.reserved.discard(msg.slot)
                await ctx.ask(memory(self._node), FreeSlots(self.name, (msg.slot,)), within=WITHIN)
            except Problem as problem:
                await self._spoil(ctx, half.of, f"a half could not be read: {problem.detail or problem.row.title}")
                return
        if half.of.ended:
            return
        self._publish(ctx, news_of(self._node, half, msg, outcome, basis))
        if isinstance(half.of, Making):
            await self._made(ctx, half.of)
        else:
            assert half.offered is not None
            await self._taken(ctx, half.of, half.offered)

    async def _spoil(self, ctx: Context, request: Making | Taking, text: str) -> None:
        """A request cannot go on here: it fails at both ends."""
        if isinstance(request, Making):
            await self._fail(ctx, request, "GENERAL", text)
        elif self._taking.pop(request.want.request, None) is not None:
            self._publish(ctx, PairsFailed(self._node, request.want.request, "GENERAL", text))
            await self._end_taking(ctx, request, "EXPIRE", text)
