"""What an end does with its half of a pair: keep it, or measure it, and tell the client."""

from __future__ import annotations

from quoit.fabric.api import HalfReady, HandOver, MadePair, OperateSlots, PairsMade, SlotsDone, memory
from quoit.fabric.linkservice import rules
from quoit.fabric.linkservice.desk import RequestDesk
from quoit.fabric.linkservice.messages import Settled, SettlePair
from quoit.fabric.linkservice.state import (
    MOST_TOLD,
    PEER_NS,
    POLL_NS,
    ROUNDING,
    WITHIN,
    Line,
    Request,
    Told,
    sequence_in,
    sequence_of,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles


class HalfDesk(RequestDesk):
    """The part of a service that deals with halves."""

    async def settle(self, ctx: Context, line: Line, request: Request | None, msg: HalfReady, ok: bool) -> None:
        """At the head: make sure of the tail's half, then go on."""
        raise NotImplementedError

    @handles(HalfReady)
    async def on_half_ready(self, ctx: Context, msg: HalfReady) -> None:
        key = self._awaited.pop(msg.slot, "")
        request = self._requests.get(key)
        token = msg.circuit, msg.number
        if request is None or self._settled.get(token) is False:
            ok = False
            await self._discard(ctx, msg.slot)
        else:
            request.empty = None
            ok = await self._use(ctx, request, msg)
        self._settled.setdefault(token, ok)
        while len(self._settled) > MOST_TOLD:
            del self._settled[next(iter(self._settled))]
        line = self._lines.get(msg.circuit.rpartition("/")[0])
        if line is not None and line.head == self._node:
            await self.settle(ctx, line, request, msg, ok)

    @handles(SettlePair)
    async def on_settle(self, ctx: Context, msg: SettlePair) -> Settled:
        token, end = (msg.circuit, msg.number), ctx.now + PEER_NS // 2
        while token not in self._settled and ctx.now < end:
            await ctx.sleep(POLL_NS)
        mine = self._settled.setdefault(token, False)
        line = self._lines.get(msg.circuit.rpartition("/")[0])
        if mine and not msg.ok and line is not None:
            sequence = sequence_in(msg.circuit, msg.number)
            await self._undo(ctx, line, sequence, self._requests.get(msg.key), f"{line.head} could not use its half")
        return Settled(mine)

    async def _use(self, ctx: Context, request: Request, msg: HalfReady) -> bool:
        """Do with a half what its request says. False: it is of no use."""
        try:
            if msg.corrected_ns + request.close_ns > request.deadline_ns:
                await self._throw(ctx, request, msg.slot)  # at both ends: too late to tell both in time
                return False
            if request.order.waits == "T":
                # news of the correction take as long as those of the herald did
                await ctx.sleep(msg.corrected_ns - msg.heralded_ns)
            if request.creator and request.bell != "phi+":
                await self._act(ctx, "correct", msg.slot, pauli=rules.PAULIS[request.bell])
            if request.reads:
                return await self._read(ctx, request, msg)
            if request.ended:
                return False
            request.kept.append(msg)
            await self._drop_aged(ctx, request, msg.corrected_ns)
            if request.order.consecutive or request.order.kind == "R" or len(request.kept) == request.order.number:
                await self._tell_kept(ctx, request)
        except Problem as problem:
            ctx.emit("pairs.lost", request=request.key, slot=msg.slot, why=problem.code, node=self._node)
            return False
        return True

    async def _act(
        self, ctx: Context, name: str, slot: int, basis: str = "Z", angle_rad: float = 0.0, pauli: str = "I"
    ) -> SlotsDone:
        order = OperateSlots(self.name, name, (slot,), basis, angle_rad, pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        return done

    async def _read(self, ctx: Context, request: Request, msg: HalfReady) -> bool:
        order = request.order
        reading = order.near if request.creator else order.far
        basis = rules.drawn(reading, ctx.rng("bases"))
        turns, along = rules.steps(basis, reading)
        for gate, angle_rad in turns:
            await self._act(ctx, gate, msg.slot, angle_rad=angle_rad)
        read_ns = ctx.now
        done = await self._act(ctx, "measure", msg.slot, along)
        if request.ended:
            return False
        request.empty = msg.slot  # for the next pair
        pair = self._made(request, msg, read_ns, outcome=done.bits[0], basis=basis)
        request.read.append(pair)
        request.done += 1
        if order.consecutive or order.kind == "R" or request.done == order.number:
            self._tell(ctx, request, request.read)
            request.read = []
        if request.done == order.number:
            await self._finish(ctx, request)
        return True

    async def _drop_aged(self, ctx: Context, request: Request, at_ns: int) -> None:
        """Halves that would be below the request's fidelity by the time the client hears are given up, and made anew;
        at both ends the same ones, since both know their times."""
        facts, order = request.line.facts, request.order
        latest = at_ns + request.close_ns
        for half in [h for h in request.kept if facts.fidelity(latest - h.corrected_ns) < order.fidelity]:
            request.kept.remove(half)
            await self._throw(ctx, request, half.slot)
            ctx.emit("pairs.aged", request=request.key, sequence=sequence_of(half), node=self._node)

    async def _tell_kept(self, ctx: Context, request: Request) -> None:
        halves, request.kept = request.kept, []
        slots = tuple(half.slot for half in halves)
        await ctx.ask(memory(self._node), HandOver(self.name, slots, request.client), within=WITHIN)
        request.slots.difference_update(slots)
        request.done += len(halves)
        self._tell(ctx, request, [self._made(request, half, ctx.now, slot=half.slot) for half in halves])
        if request.done == request.order.number:
            await self._finish(ctx, request)

    @staticmethod
    def _made(
        request: Request, half: HalfReady, at_ns: int, slot: int | None = None, outcome: int | None = None,
        basis: str = "",
    ) -> MadePair:  # fmt: skip
        goodness = max(0.0, request.line.facts.fidelity(at_ns - half.corrected_ns) - ROUNDING)
        return MadePair(
            sequence_of(half), goodness, at_ns, half.attempt_ns, half.heralded_ns, half.corrected_ns, slot, outcome,
            basis, request.bell,
        )  # fmt: skip

    def _tell(self, ctx: Context, request: Request, pairs: list[MadePair]) -> None:
        """OK."""
        order = request.order
        told = Told(
            request.client, request.origin, request.create_id, request.remote, order.purpose, request.line.circuit
        )
        for pair in pairs:
            self._told.pop((request.line.name, pair.sequence), None)
            self._told[request.line.name, pair.sequence] = told
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        whole = request.done == order.number
        news = PairsMade(
            request.origin, request.create_id, request.remote, order.purpose, order.kind, tuple(pairs), whole,
            request.line.circuit,
        )  # fmt: skip
        ctx.emit(
            "pairs.made", request=request.key, sequences=tuple(pair.sequence for pair in pairs), node=self._node,
            done=whole,
        )  # fmt: skip
        if request.creator:
            ctx.count("quoit_pairs_told_total", (request.line.name, order.kind), len(pairs))
        ctx.tell(request.client, news)

    async def _discard(self, ctx: Context, slot: int) -> None:
        """A half whose request has ended; its memory is given back when no more can come."""
        try:
            await self._act(ctx, "discard", slot)
        except Problem as problem:
            if problem.code != "bad-operation":
                raise
