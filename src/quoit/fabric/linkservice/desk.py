"""What link service and network service have in common: requests for pairs of one line, from CREATE to OK or ERR.

A *line* is a path with pairs of one quality: a link, or a virtual circuit. Its head schedules: the next pair is for the
request of highest priority, the oldest of these; an atomic request that has begun comes before all others. The head
keeps a memory at both ends, orders one pair of the line's circuit, and both ends deal with their halves by themselves:
which request a half is for follows from its memory, and its sequence number from the circuit's count, so neither end
asks the other. Afterwards the head asks whether the tail has done so; if not, the pair is expired at the other end.

Whether a pair counts is decided from its own times alone, which both ends know alike, and never from when an end heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CancelPairs,
    CloseCircuit,
    CreatePairs,
    Done,
    ExpirePairs,
    FreeSlots,
    HalfReady,
    HandOver,
    MadePair,
    OpenCircuit,
    OperateSlots,
    PairsAccepted,
    PairsFailed,
    PairsMade,
    ReceivePairs,
    ReserveSlots,
    Slots,
    SlotsDone,
    StopReceiving,
    memory,
)
from quoit.fabric.linkservice import request as rules
from quoit.fabric.linkservice.messages import (
    CheckDeadline,
    EndRequest,
    ExpireHalves,
    FreeLater,
    OfferPairs,
    ReadyHalf,
    RestLine,
    Settled,
    SettlePair,
    SetUp,
    TakeTurn,
)
from quoit.fabric.linkservice.request import Devices, Facts, refusal
from quoit.fabric.memory import RenewPair
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, handles

WITHIN = 5_000_000_000
PEER_NS = 1_000_000_000
"""How long the other end is waited for."""
RETRY_NS = 10_000_000
"""After which a request that found no memory, or no circuit, is tried again."""
IDLE_NS = 200_000_000
"""How long a circuit that nobody uses is kept."""
DRAIN_NS = 20_000_000
"""How long after a circuit was closed pairs of it may still arrive, beyond four times light's way."""
POLL_NS = 200_000
MOST_REQUESTS = 1_000
"""That an element has under way at once."""
MOST_TOLD = 8_192
"""Pairs of OKs that an element remembers, to expire them."""
MOST_RECEIVERS = 4_096
SEQUENCES = 2**16
ROUNDING = 1e-12
"""Taken off a goodness, which is a bound: the engine adds up in another order."""


@dataclass(frozen=True)
class Line:
    """`head` schedules. `floor`: fidelity that control is asked for. `early`: each end has its half as soon as it has
    heard."""

    name: str
    head: str
    tail: str
    facts: Facts
    floor: float
    early: bool = False


@dataclass
class Request:
    """As one end knows it. `slots`: memories that this end keeps for it, of which `empty` waits for a pair; `kept`:
    halves that no OK has told of, `read`: outcomes likewise."""

    key: str
    origin: str
    create_id: int
    line: Line
    order: CreatePairs
    bell: str
    client: str
    creator: bool
    remote: str
    deadline_ns: int
    close_ns: int
    slots: set[int] = field(default_factory=set)
    empty: int | None = None
    kept: list[HalfReady] = field(default_factory=list)
    read: list[MadePair] = field(default_factory=list)
    done: int = 0
    ended: bool = False
    blocked_until: int = 0

    @property
    def reads(self) -> bool:
        """Is this end's half measured?"""
        return self.order.kind == "M" or (self.order.kind == "R" and self.creator)


@dataclass
class _Queue:
    """What the head of a line knows of its work. `order`: request whose pair is being made."""

    waiting: list[Request] = field(default_factory=list)
    circuit: str = ""
    base: int = 0
    made: int = 0
    order: str = ""
    atomic: str = ""
    working: bool = False
    dropped: bool = False
    turns: int = 0
    retry_ns: int = 0


@dataclass(frozen=True)
class _Told:
    client: str
    origin: str
    create_id: int
    remote: str
    purpose: int


class PairDesk(Element):
    """One node's end of its lines."""

    def __init__(self, name: str, node: str, stage: int, devices: Devices) -> None:
        super().__init__(name, node)
        self._node = node
        self._stage = stage
        self._own = devices
        self._lines: dict[str, Line] = {}
        self._queues: dict[str, _Queue] = {}
        self._requests: dict[str, Request] = {}
        self._receivers: dict[tuple[str, int], str] = {}
        self._awaited: dict[int, str] = {}
        self._settled: dict[tuple[str, int], bool] = {}
        self._told: dict[tuple[str, int], _Told] = {}
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
            self._queues[line.name] = _Queue()

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
            self._enter(ctx, request)

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
            self._enter(ctx, request)
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

    # -- scheduling, at the head -----------------------------------------------------------------------

    def _enter(self, ctx: Context, request: Request) -> None:
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
            request.blocked_until = ctx.now + RETRY_NS
            ctx.emit("pairs.blocked", request=request.key, why=problem.code)
        queue.working = False
        if queue.dropped:
            await self._abandon(ctx, msg.line)
        elif not queue.order:
            ctx.tell(self.name, msg)

    async def _order(self, ctx: Context, queue: _Queue, request: Request) -> None:
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
            ctx.tell(memory(self._node), RenewPair(queue.circuit, own, far.slots[0]))
            return
        queue.base = (queue.base + queue.made + 1) % SEQUENCES
        queue.made = 0
        queue.circuit = f"{line.name}/{queue.base}"
        order = OpenCircuit(
            queue.circuit, line.head, line.tail, line.floor, (own,), far.slots, self.name, self.peer(line.tail),
            line.facts.links, line.early,
        )  # fmt: skip
        try:
            await ctx.ask(PAIR_CONTROLLER, order, within=WITHIN)
        except Problem:
            queue.circuit = queue.order = ""
            self._awaited.pop(own, None)
            await self._free_empty(ctx, request)
            raise

    async def _half(self, ctx: Context, request: Request) -> int:
        """An empty memory of this node for the request's next pair. Problem `no-memory`."""
        if request.empty is None:
            answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, 1), within=WITHIN)
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

    async def _abandon(self, ctx: Context, line: str) -> None:
        """The pair that is being made is for nobody any more: close the circuit, another one is opened for the next."""
        queue = self._queues[line]
        if queue.working:
            queue.dropped = True
            return
        circuit, queue.circuit, queue.order, queue.dropped = queue.circuit, "", "", False
        queue.made += 1  # one may be on its way, and has a number
        await self._close(ctx, queue, circuit)
        ctx.tell(self.name, TakeTurn(line))

    async def _close(self, ctx: Context, queue: _Queue, circuit: str) -> None:
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

    # -- pairs ---------------------------------------------------------------------------------------

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
            await self._settle(ctx, line, request, msg, ok)

    async def _settle(self, ctx: Context, line: Line, request: Request | None, msg: HalfReady, ok: bool) -> None:
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
        if ok and not theirs:
            await self._undo(ctx, line, sequence_of(msg), request, why)
        if queue.circuit == msg.circuit and queue.order == key:
            queue.order = ""
            ctx.tell(self.name, TakeTurn(line.name))

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
                await ctx.sleep_until(msg.corrected_ns)
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
        told = _Told(request.client, request.origin, request.create_id, request.remote, order.purpose)
        for pair in pairs:
            self._told.pop((request.line.name, pair.sequence), None)
            self._told[request.line.name, pair.sequence] = told
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        whole = request.done == order.number
        news = PairsMade(
            request.origin, request.create_id, request.remote, order.purpose, order.kind, tuple(pairs), whole
        )
        ctx.emit(
            "pairs.made", request=request.key, sequences=tuple(pair.sequence for pair in pairs), node=self._node,
            done=whole,
        )  # fmt: skip
        ctx.tell(request.client, news)

    # -- ends ----------------------------------------------------------------------------------------

    async def _finish(self, ctx: Context, request: Request) -> None:
        """All pairs were made."""
        request.ended = True
        self._leave(ctx, request)
        slots = tuple(request.slots)
        if slots:
            await ctx.ask(memory(self._node), FreeSlots(self.name, slots), within=WITHIN)

    async def _end(self, ctx: Context, request: Request, code: str = "", why: str = "") -> None:
        """Before all pairs were made; the client hears ERR with `code`, or knows already."""
        if request.ended:
            return
        request.ended = True
        self._leave(ctx, request)
        ctx.emit("pairs.failed", request=request.key, code=code, why=why, node=self._node)
        if code:
            self._fail(ctx, request, code, why)
        slots = tuple(sorted(request.slots))
        if slots:
            wait_ns = DRAIN_NS + 4 * request.line.facts.light_ns
            ctx.tell(self.name, FreeLater(slots), after=wait_ns)
        queue = self._queues.get(request.line.name)
        if queue is not None and queue.order == request.key:
            await self._abandon(ctx, request.line.name)

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
        news = PairsFailed(request.origin, request.create_id, request.remote, request.order.purpose, code, why)
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

    async def _discard(self, ctx: Context, slot: int) -> None:
        """A half whose request has ended; its memory is given back when no more can come."""
        try:
            await self._act(ctx, "discard", slot)
        except Problem as problem:
            if problem.code != "bad-operation":
                raise

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

    @handles(ExpirePairs)
    async def on_expire(self, ctx: Context, msg: ExpirePairs) -> Done:
        width = (msg.high - msg.low) % SEQUENCES
        found: dict[str, list[int]] = {}
        for (line, sequence), told in self._told.items():
            if told.client != msg.client or told.remote != msg.remote:
                continue
            of_request = msg.create_id is not None and (told.origin, told.create_id) == (msg.origin, msg.create_id)
            if of_request or (msg.create_id is None and (sequence - msg.low) % SEQUENCES < width):
                found.setdefault(line, []).append(sequence)
        for line, sequences in found.items():
            for sequence in sequences:
                del self._told[line, sequence]
            ctx.tell(self.peer(msg.remote), ExpireHalves(line, tuple(sequences), msg.create_id is not None))
        return Done()

    @handles(ExpireHalves)
    async def on_expire_halves(self, ctx: Context, msg: ExpireHalves) -> None:
        by_request: dict[_Told, list[int]] = {}
        for sequence in msg.sequences:
            told = self._told.pop((msg.line, sequence), None)
            if told is not None:
                by_request.setdefault(told, []).append(sequence)
        for told, sequences in by_request.items():
            self._expired(ctx, told, tuple(sequences), "the other half is gone", msg.whole)

    def _expired(self, ctx: Context, told: _Told, sequences: tuple[int, ...], why: str, whole: bool) -> None:
        for low, high in [(0, 0)] if whole else runs(sequences):
            ctx.tell(
                told.client,
                PairsFailed(told.origin, told.create_id, told.remote, told.purpose, "EXPIRE", why, low, high),
            )
        ctx.emit("pairs.expired", origin=told.origin, create_id=told.create_id, sequences=sequences, node=self._node)


def sequence_in(circuit: str, number: int) -> int:
    """A pair's sequence number on its line: a circuit's name ends in that of its first pair."""
    return (int(circuit.rpartition("/")[2]) + number - 1) % SEQUENCES


def sequence_of(half: HalfReady) -> int:
    """Of the pair that it is half of."""
    return sequence_in(half.circuit, half.number)


def runs(sequences: tuple[int, ...]) -> list[tuple[int, int]]:
    """As few ranges [low, high) as hold exactly these numbers; a range may wrap around at 2**16."""
    found: list[tuple[int, int]] = []
    for sequence in sequences:
        if found and found[-1][1] == sequence:
            found[-1] = found[-1][0], (sequence + 1) % SEQUENCES
        else:
            found.append((sequence, (sequence + 1) % SEQUENCES))
    return found
