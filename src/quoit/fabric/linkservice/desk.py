"""Requests for pairs at one end: receivers, CREATE, the ends that a request can have, and EXPIRE."""

from __future__ import annotations

from quoit.fabric.api import (
    CancelPairs,
    CreatePairs,
    Done,
    ExpirePairs,
    FreeSlots,
    PairsAccepted,
    PairsFailed,
    ReceivePairs,
    StopReceiving,
    memory,
)
from quoit.fabric.linkservice import rules
from quoit.fabric.linkservice.messages import (
    CheckDeadline,
    EndRequest,
    ExpireHalves,
    FreeLater,
    OfferPairs,
    SayExpired,
    SetUp,
)
from quoit.fabric.linkservice.rules import Devices, refusal
from quoit.fabric.linkservice.state import (
    DRAIN_NS,
    MOST_RECEIVERS,
    MOST_REQUESTS,
    MOST_TRIES,
    PEER_NS,
    SEQUENCES,
    WITHIN,
    Line,
    Queue,
    Request,
    Told,
    runs,
    sequence_of,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, handles


class RequestDesk(Element):
    """The part of a service that keeps requests: from CREATE to OK or ERR."""

    def __init__(self, name: str, node: str, stage: int, devices: Devices) -> None:
        super().__init__(name, node)
        self._node = node
        self._stage = stage
        self._own = devices
        self._lines: dict[str, Line] = {}
        self._queues: dict[str, Queue] = {}
        self._requests: dict[str, Request] = {}
        self._receivers: dict[tuple[str, int], str] = {}
        self._awaited: dict[int, str] = {}
        self._settled: dict[tuple[str, int], bool] = {}
        self._told: dict[tuple[str, int], Told] = {}
        self._created = 0

    def peer(self, node: str) -> str:
        """Name of the same service at another node."""
        raise NotImplementedError

    def devices(self, node: str) -> Devices:
        """What is known of another node's devices."""
        raise NotImplementedError

    async def offer(self, ctx: Context, line: Line, offer: OfferPairs, to: str) -> None:
        """Ask the other end to take part. Raises its Problem."""
        await ctx.ask(self.peer(to), offer, within=WITHIN)

    def request_over(self, ctx: Context, request: Request) -> None:
        """A request has ended at this end, whichever way."""

    def add_line(self, line: Line) -> None:
        """Serve this line from now on."""
        self._lines[line.name] = line
        if line.head == self._node:
            self._queues[line.name] = Queue()

    async def abandon(self, ctx: Context, line: str) -> None:
        """The pair that the head is having made for a line is for nobody any more."""
        raise NotImplementedError

    def enter(self, ctx: Context, request: Request) -> None:
        """At the head: the request waits for its turn from now on."""
        raise NotImplementedError

    # -- receivers -----------------------------------------------------------------------------------

    @handles(ReceivePairs)
    async def on_receive(self, ctx: Context, msg: ReceivePairs) -> Done:
        taken = self._receivers.get((msg.remote, msg.purpose), msg.client)
        if taken != msg.client:
            raise Problem("unit-exists", f"purpose {msg.purpose} of {msg.remote} is received by another one")
        if len(self._receivers) >= MOST_RECEIVERS:
            raise Problem("overloaded", f"{MOST_RECEIVERS} purposes are received here")
        ctx.route(msg.client)  # Problem if there is no such element
        self._receivers[msg.remote, msg.purpose] = msg.client
        return Done()

    @handles(StopReceiving)
    async def on_stop(self, ctx: Context, msg: StopReceiving) -> Done:
        if self._receivers.get((msg.remote, msg.purpose)) != msg.client:
            return Done()
        del self._receivers[msg.remote, msg.purpose]
        for request in list(self._requests.values()):
            if not request.creator and (request.origin, request.order.purpose) == (msg.remote, msg.purpose):
                why = f"{self._node} has stopped receiving"
                ctx.tell(self.peer(request.remote), EndRequest(request.key, "REJECTED", why))
                await self._end(ctx, request)
        return Done()

    # -- CREATE --------------------------------------------------------------------------------------

    def accept(self, ctx: Context, order: CreatePairs, line: Line, bell: str = "phi+") -> PairsAccepted:
        """Check a request as far as this end can, and give it its create id. Raises Problem."""
        ctx.route(order.client)  # Problem if there is no such element
        remote = line.tail if line.head == self._node else line.head
        rules.need_stage(self._stage, self._node, order.kind)
        close_ns = rules.closing_ns(self._own, self.devices(remote))
        for node, devices in ((self._node, self._own), (remote, self.devices(remote))):
            rules.need_memories(order, node, devices)
        rules.need_fidelity(order, line.facts, close_ns)
        rules.need_time(order, line.facts, close_ns)
        create_id = self._new_id()
        deadline_ns = ctx.now + (order.max_time_ns or rules.LONGEST_NS)
        request = Request(
            f"{self._node}#{create_id}", self._node, create_id, line, order, bell, order.client, True, remote,
            deadline_ns, close_ns,
        )  # fmt: skip
        self._begin(ctx, request)
        ctx.tell(self.name, SetUp(request.key))
        return PairsAccepted(create_id)

    def _new_id(self) -> int:
        for _ in range(MOST_REQUESTS + 1):
            self._created = (self._created + 1) % SEQUENCES
            if f"{self._node}#{self._created}" not in self._requests:
                return self._created
        raise refusal("overloaded", f"{MOST_REQUESTS} requests are under way here")

    def _begin(self, ctx: Context, request: Request) -> None:
        if len(self._requests) >= MOST_REQUESTS:
            raise refusal("overloaded", f"{MOST_REQUESTS} requests are under way here")
        self._requests[request.key] = request
        ctx.tell(self.name, CheckDeadline(request.key), after=request.deadline_ns - ctx.now)
        ctx.emit(
            "pairs.requested", request=request.key, line=request.line.name, kind=request.order.kind,
            number=request.order.number, node=self._node,
        )  # fmt: skip

    @handles(SetUp)
    async def on_set_up(self, ctx: Context, msg: SetUp) -> None:
        request = self._requests.get(msg.key)
        if request is None:
            return
        offer = OfferPairs(
            request.line.name, request.origin, request.create_id, request.order, request.bell, request.deadline_ns,
            request.close_ns,
        )  # fmt: skip
        try:
            await self.offer(ctx, request.line, offer, request.remote)
        except Problem as problem:
            await self._end(ctx, request, rules.err_of(problem), problem.detail or problem.row.title)
            return
        if request.ended:
            ctx.tell(self.peer(request.remote), EndRequest(request.key, "OTHER", "it has ended at its creator"))
        elif request.line.head == self._node:
            self.enter(ctx, request)

    @handles(OfferPairs)
    async def on_offer(self, ctx: Context, msg: OfferPairs) -> Done:
        """At the receiver's end."""
        line = self._lines.get(msg.line)
        if line is None:
            raise refusal("no-route", f"{self._node} has no line {msg.line!r}")
        client = self._receivers.get((msg.origin, msg.order.purpose))
        if client is None:
            text = f"nobody at {self._node} receives from {msg.origin} for purpose {msg.order.purpose}"
            raise refusal("not-receiving", text)
        if f"{msg.origin}#{msg.create_id}" in self._requests:
            return Done()  # said twice
        rules.need_stage(self._stage, self._node, msg.order.kind)
        rules.need_memories(msg.order, self._node, self._own)
        if msg.deadline_ns <= ctx.now:
            raise refusal("no-time", "the deadline has passed")
        request = Request(
            f"{msg.origin}#{msg.create_id}", msg.origin, msg.create_id, line, msg.order, msg.bell, client, False,
            msg.origin, msg.deadline_ns, msg.close_ns,
        )  # fmt: skip
        self._begin(ctx, request)
        if line.head == self._node:
            self.enter(ctx, request)
        return Done()

    @handles(CancelPairs)
    async def on_cancel(self, ctx: Context, msg: CancelPairs) -> Done:
        request = self._requests.get(f"{self._node}#{msg.create_id}")
        if request is None or request.client != msg.client:
            raise Problem("no-such-element", f"expected a request of the caller's under way, found {msg.create_id}")
        ctx.tell(self.peer(request.remote), EndRequest(request.key, "OTHER", f"{self._node} has given it up"))
        await self._end(ctx, request)
        return Done()

    @handles(EndRequest)
    async def on_end(self, ctx: Context, msg: EndRequest) -> None:
        request = self._requests.get(msg.key)
        if request is not None:
            await self._end(ctx, request, msg.code, msg.why)

    @handles(CheckDeadline)
    async def on_deadline(self, ctx: Context, msg: CheckDeadline) -> None:
        request = self._requests.get(msg.key)
        if request is not None and ctx.now >= request.deadline_ns:
            told = f"{request.done} of {request.order.number} pairs were made in time"
            await self._end(ctx, request, "TIMEOUT", told)

    # -- ends ----------------------------------------------------------------------------------------

    async def _finish(self, ctx: Context, request: Request) -> None:
        """All pairs were made."""
        if request.creator:
            ctx.count("quoit_pair_requests_total", (request.line.name, "OK"))
        request.ended = True
        self._leave(ctx, request)
        slots, request.slots = tuple(sorted(request.slots)), set()
        if slots:
            await ctx.ask(memory(self._node), FreeSlots(self.name, slots), within=WITHIN)

    async def _end(self, ctx: Context, request: Request, code: str = "", why: str = "") -> None:
        """Before all pairs were made; the client hears ERR with `code`, or knows already."""
        if request.ended:
            return
        request.ended = True
        self._leave(ctx, request)
        ctx.emit("pairs.failed", request=request.key, code=code, why=why, node=self._node)
        if request.creator:
            ctx.count("quoit_pair_requests_total", (request.line.name, code or "OTHER"))
        if code:
            self._fail(ctx, request, code, why)
        if request.kept:  # the other end may have told its client of them
            lost, request.kept = tuple(sequence_of(half) for half in request.kept), []
            self.say_expired(ctx, request.remote, request.line.name, lost)
        slots, request.slots = tuple(sorted(request.slots)), set()  # nobody else gives them back
        if slots:
            wait_ns = DRAIN_NS + 4 * request.line.facts.light_ns
            ctx.tell(self.name, FreeLater(slots), after=wait_ns)
        queue = self._queues.get(request.line.name)
        if queue is not None and queue.order == request.key:
            await self.abandon(ctx, request.line.name)

    def _leave(self, ctx: Context, request: Request) -> None:
        self._requests.pop(request.key, None)
        queue = self._queues.get(request.line.name)
        if queue is not None:
            if request in queue.waiting:
                queue.waiting.remove(request)
            if queue.atomic == request.key:
                queue.atomic = ""
        self.request_over(ctx, request)

    def _fail(self, ctx: Context, request: Request, code: str, why: str) -> None:
        """ERR."""
        news = PairsFailed(
            request.origin, request.create_id, request.remote, request.order.purpose, code, why,
            circuit=request.line.circuit,
        )  # fmt: skip
        ctx.tell(request.client, news)

    @handles(FreeLater)
    async def on_free_later(self, ctx: Context, msg: FreeLater) -> None:
        for slot in msg.slots:
            self._awaited.pop(slot, None)
        await ctx.ask(memory(self._node), FreeSlots(self.name, msg.slots), within=WITHIN)

    async def _throw(self, ctx: Context, request: Request, slot: int) -> None:
        """A half that nobody will have: empty and give its memory back."""
        if slot in request.slots:
            request.slots.discard(slot)
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)

    # -- EXPIRE --------------------------------------------------------------------------------------

    async def _undo(self, ctx: Context, line: Line, sequence: int, request: Request | None, why: str) -> None:
        """The other end could not use its half: what of this one was told is expired, what was not is dropped."""
        told = self._told.pop((line.name, sequence), None)
        if request is not None and not request.ended:
            for half in [h for h in request.kept if sequence_of(h) == sequence]:
                request.kept.remove(half)
                await self._throw(ctx, request, half.slot)
            unread = [pair for pair in request.read if pair.sequence == sequence]
            request.read = [pair for pair in request.read if pair.sequence != sequence]
            request.done -= len(unread) + (told is not None)
        if told is not None:
            self._expired(ctx, told, (sequence,), why, whole=False)

    async def _drop_untold(self, ctx: Context, line: Line, sequence: int) -> None:
        """A pair that an end has used already, and no client heard of, was in vain."""
        for request in [r for r in self._requests.values() if r.line.name == line.name]:
            await self._undo(ctx, line, sequence, request, "")

    @handles(ExpirePairs)
    async def on_expire(self, ctx: Context, msg: ExpirePairs) -> Done:
        width = (msg.high - msg.low) % SEQUENCES
        found: dict[str, list[int]] = {}
        for (line, sequence), told in self._told.items():
            if (told.client, told.remote, told.circuit) != (msg.client, msg.remote, msg.circuit):
                continue
            of_request = msg.create_id is not None and (told.origin, told.create_id) == (msg.origin, msg.create_id)
            if of_request or (msg.create_id is None and (sequence - msg.low) % SEQUENCES < width):
                found.setdefault(line, []).append(sequence)
        for line, sequences in found.items():
            for sequence in sequences:
                del self._told[line, sequence]
            self.say_expired(ctx, msg.remote, line, tuple(sequences), whole=msg.create_id is not None)
        return Done()

    def say_expired(self, ctx: Context, to: str, line: str, sequences: tuple[int, ...], *, whole: bool = False) -> None:
        """The other end shall know that its halves of these pairs are of no use."""
        ctx.tell(self.name, SayExpired(to, ExpireHalves(line, sequences, whole)))

    @handles(SayExpired)
    async def on_say_expired(self, ctx: Context, msg: SayExpired) -> None:
        try:
            await ctx.ask(self.peer(msg.to), msg.halves, within=PEER_NS)
        except Problem as problem:
            if msg.tries < MOST_TRIES:
                ctx.tell(self.name, SayExpired(msg.to, msg.halves, msg.tries + 1), after=PEER_NS)
            else:
                ctx.emit("pairs.expiry-unheard", to=msg.to, sequences=msg.halves.sequences, why=problem.code)

    @handles(ExpireHalves)
    async def on_expire_halves(self, ctx: Context, msg: ExpireHalves) -> Done:
        by_request: dict[Told, list[int]] = {}
        for sequence in msg.sequences:
            told = self._told.pop((msg.line, sequence), None)
            if told is not None:
                by_request.setdefault(told, []).append(sequence)
            line = self._lines.get(msg.line)
            if line is not None:
                await self._drop_untold(ctx, line, sequence)
        for told, sequences in by_request.items():
            self._expired(ctx, told, tuple(sequences), "the other half is gone", msg.whole)
        return Done()

    def _expired(self, ctx: Context, told: Told, sequences: tuple[int, ...], why: str, whole: bool) -> None:
        for low, high in [(0, 0)] if whole else runs(sequences):
            news = PairsFailed(
                told.origin, told.create_id, told.remote, told.purpose, "EXPIRE", why, low, high, told.circuit
            )
            ctx.tell(told.client, news)
        ctx.emit("pairs.expired", origin=told.origin, create_id=told.create_id, sequences=sequences, node=self._node)
