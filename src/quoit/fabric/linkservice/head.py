"""What link service and network service have in common: requests for pairs of one line, from CREATE to OK or ERR.

A *line* is a path with pairs of one quality: a link, or a virtual circuit. Its head schedules: the next pair is for the
request of highest priority, the oldest of these; an atomic request that has begun comes before all others. The head
keeps a memory at both ends, orders one pair of the line's circuit, and both ends deal with their halves by themselves:
which request a half is for follows from its memory, and its sequence number from the circuit's count, so neither end
asks the other. Afterwards the head asks whether the tail has done so; if not, the pair is expired at the other end.

Whether a pair counts is decided from its own times alone, which both ends know alike, and never from when an end heard.
"""

from __future__ import annotations

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    FreeSlots,
    HalfReady,
    OpenCircuit,
    PairPlan,
    ReserveSlots,
    Slots,
    memory,
)
from quoit.fabric.linkservice.halves import HalfDesk
from quoit.fabric.linkservice.messages import ReadyHalf, RestLine, Settled, SettlePair, TakeTurn
from quoit.fabric.linkservice.state import (
    IDLE_NS,
    PEER_NS,
    RETRY_NS,
    SEQUENCES,
    WITHIN,
    Line,
    Queue,
    Request,
    sequence_in,
    sequence_of,
)
from quoit.fabric.memory import RenewPair
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles


class PairService(HalfDesk):
    """One node's end of its lines, and the head of those that it schedules."""

    def enter(self, ctx: Context, request: Request) -> None:
        queue = self._queues[request.line.name]
        queue.waiting.append(request)
        ctx.tell(self.name, TakeTurn(request.line.name))

    @staticmethod
    def choose(waiting: list[Request], atomic: str, now: int) -> Request | None:
        """Whose pair is next: the atomic request's that has begun, else of the highest priority the oldest that is not
        waiting for memories."""
        for request in waiting:
            if request.key == atomic:
                return request if request.blocked_until <= now else None
        ready = [request for request in waiting if request.blocked_until <= now]
        return max(ready, key=lambda request: request.order.priority, default=None)

    @handles(TakeTurn)
    async def on_turn(self, ctx: Context, msg: TakeTurn) -> None:
        queue = self._queues.get(msg.line)
        if queue is None or queue.order or queue.working:
            return
        request = self.choose(queue.waiting, queue.atomic, ctx.now)
        queue.turns += 1
        if request is None:
            if queue.waiting and queue.retry_ns <= ctx.now:
                queue.retry_ns = ctx.now + RETRY_NS
                ctx.tell(self.name, msg, after=RETRY_NS)
            elif queue.circuit:
                ctx.tell(self.name, RestLine(msg.line, queue.turns), after=IDLE_NS)
            return
        queue.working = True
        try:
            await self._order(ctx, queue, request)
        except Problem as problem:
            if problem.code == "no-such-element":
                await self._end(ctx, request, "OTHER", f"{request.line.tail} knows nothing of it any more")
            request.blocked_until = ctx.now + RETRY_NS
            ctx.emit("pairs.blocked", request=request.key, why=problem.code)
        queue.working = False
        if queue.dropped:
            await self.abandon(ctx, msg.line)
        elif not queue.order:
            ctx.tell(self.name, msg)

    async def _order(self, ctx: Context, queue: Queue, request: Request) -> None:
        """Keep a memory at both ends and have one pair made."""
        line = request.line
        own = await self._half(ctx, request)
        try:
            far: Slots = await ctx.ask(self.peer(line.tail), ReadyHalf(request.key), within=PEER_NS)
        except Problem:
            await self._free_empty(ctx, request)
            raise
        if request.ended:
            return
        if request.order.atomic:
            queue.atomic = request.key
        self._awaited[own], queue.order = request.key, request.key
        if queue.circuit:
            # the node at which the circuit's program begins has it made
            at, *slots = (line.tail, far.slots[0], own) if queue.turned else (self._node, own, far.slots[0])
            ctx.tell(memory(at), RenewPair(queue.circuit, *slots))
            return
        queue.base = (queue.base + queue.made + 1) % SEQUENCES
        queue.made = 0
        queue.circuit = f"{line.name}/{queue.base}"
        order = OpenCircuit(
            queue.circuit, line.head, line.tail, line.floor, (own,), far.slots, self.name, self.peer(line.tail),
            line.facts.links, line.early, priority=request.order.priority, claim=line.name,
        )  # fmt: skip
        try:
            plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
            queue.turned = plan.turned
        except Problem:
            queue.circuit = queue.order = ""
            self._awaited.pop(own, None)
            await self._free_empty(ctx, request)
            raise

    async def _half(self, ctx: Context, request: Request) -> int:
        """An empty memory of this node for the request's next pair. Problem `no-memory`."""
        if request.empty is None:
            order = ReserveSlots(self.name, 1, request.order.priority, request.key)
            answer: Slots = await ctx.ask(memory(self._node), order, within=WITHIN)
            if request.ended:
                await ctx.ask(memory(self._node), FreeSlots(self.name, answer.slots), within=WITHIN)
                raise Problem("no-such-element", f"request {request.key} has ended")
            request.empty = answer.slots[0]
            request.slots.add(request.empty)
        return request.empty

    async def _free_empty(self, ctx: Context, request: Request) -> None:
        slot, request.empty = request.empty, None
        if slot is not None and slot in request.slots:
            request.slots.discard(slot)
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)

    @handles(ReadyHalf)
    async def on_ready_half(self, ctx: Context, msg: ReadyHalf) -> Slots:
        request = self._requests.get(msg.key)
        if request is None:
            raise Problem("no-such-element", f"{self._node} has no request {msg.key!r} under way")
        slot = await self._half(ctx, request)
        self._awaited[slot] = msg.key
        return Slots((slot,))

    async def abandon(self, ctx: Context, line: str) -> None:
        """The pair that is being made is for nobody any more: close the circuit, another one is opened for the next."""
        queue = self._queues[line]
        if queue.working:
            queue.dropped = True
            return
        circuit, queue.circuit, queue.order, queue.dropped = queue.circuit, "", "", False
        queue.made += 1  # one may be on its way, and has a number
        if circuit:
            sequence = sequence_in(circuit, queue.made)
            self.say_expired(ctx, self._lines[line].tail, line, (sequence,))  # if it came there and not here
        await self._close(ctx, queue, circuit)
        ctx.tell(self.name, TakeTurn(line))

    async def _close(self, ctx: Context, queue: Queue, circuit: str) -> None:
        if not circuit:
            return
        queue.working = True
        try:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(circuit), within=WITHIN)
        except Problem as problem:
            ctx.emit("pairs.not-closed", circuit=circuit, why=problem.code)
        queue.working = False

    @handles(RestLine)
    async def on_rest(self, ctx: Context, msg: RestLine) -> None:
        queue = self._queues.get(msg.line)
        if queue is None or queue.turns != msg.turns or queue.order or queue.working or not queue.circuit:
            return
        circuit, queue.circuit = queue.circuit, ""
        await self._close(ctx, queue, circuit)
        ctx.tell(self.name, TakeTurn(msg.line))

    async def _retire(self, ctx: Context, line: str) -> None:
        """Serve a line no more; its requests have ended."""
        queue = self._queues.pop(line)
        self._lines.pop(line, None)
        await self._close(ctx, queue, queue.circuit)

    async def settle(self, ctx: Context, line: Line, request: Request | None, msg: HalfReady, ok: bool) -> None:
        """The head makes sure of the tail's half, then goes on."""
        queue = self._queues.get(line.name)
        if queue is None:
            return
        if queue.circuit == msg.circuit:
            queue.made = max(queue.made, msg.number)
        key = "" if request is None else request.key
        try:
            answer: Settled = await ctx.ask(
                self.peer(line.tail), SettlePair(key, msg.circuit, msg.number, ok), within=PEER_NS
            )
            theirs, why = answer.ok, f"{line.tail} could not use its half"
        except Problem as problem:
            theirs, why = False, f"{line.tail}: {problem.row.title}"
            self.say_expired(ctx, line.tail, line.name, (sequence_of(msg),))  # if it did use its half
        if ok and not theirs:
            await self._undo(ctx, line, sequence_of(msg), request, why)
        if queue.circuit == msg.circuit and queue.order == key:
            queue.order = ""
            ctx.tell(self.name, TakeTurn(line.name))
