"""Pairs for programs of hosts: who asks whom, whose memory is next, which half came where.

Pairs of a socket are numbered; its ends take part in them in order. The creator's end leads: it tells the other end
what it wants, hears of a memory there for each pair, and has control open one circuit for the whole request, however
many links that takes. A half that is measured at once needs a memory as any other: it is taken for that pair alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import pi

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CloseCircuit,
    FreeSlots,
    HalfReady,
    OpenCircuit,
    OperateSlots,
    PairPlan,
    PlanPairs,
    RenewHalf,
    ReserveSlots,
    Slots,
    SlotsDone,
    memory,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, handles
from quoit.runtime.wire import Message, message
from quoit.service.api import (
    QNPU_NEWS,
    DropPairs,
    GrantQubit,
    PairMade,
    PairReading,
    PairsFailed,
    PairsMatched,
    QnpuHeard,
    WantPairs,
    qnpu,
)

WITHIN = 5_000_000_000
RETRY_NS = 2_000_000
LONGEST_LACK_NS = 5_000_000_000
"""How long a request waits for a memory, or a link, that others use."""
MOST_REQUESTS = 1_000
"""Under way at a node."""
KEEP, MEASURE, PREPARE = range(3)
AXES = (("rx", "ry", "rx"), ("ry", "rz", "ry"), ("rz", "rx", "rz"))
BASES = ((), (1, 0), (1, 2, 0), (3, 4))
"""Bases of each random set: Z X Y ZPLUSX ZMINUSX are 0 to 4."""
TURNS: tuple[tuple[tuple[str, float], ...], ...] = (
    (), (("h", 0.0),), (("correct", 0.0), ("rx", -pi / 2)), (("ry", -pi / 4),), (("ry", pi / 4),),
)  # fmt: skip
"""What carries each basis to Z."""

Door = tuple[int, str, int]
"""A socket as its node sees it: own number, remote node, remote number."""


@message("service.OfferPairs")
class OfferPairs(Message):
    """The creator's end to the other: take part. `first`: number of the first pair. Answered with `QnpuHeard`."""

    request: int
    node: str
    socket: int
    remote_socket: int
    pairs: int
    kind: int
    reading: PairReading
    circuit: str
    first: int


@message("service.PairSlot")
class PairSlot(Message):
    """The other end to the creator's: the next pair's half may come to this memory."""

    request: int
    slot: int


@message("service.BreakOff")
class BreakOff(Message):
    """The other end to the creator's: it takes no more part. Answered when nothing can come any more."""

    request: int
    code: str
    text: str


@message("service.WithdrawOffer")
class WithdrawOffer(Message):
    """The creator's end to the other: the request has failed. Answered with `QnpuHeard`."""

    request: int
    node: str
    text: str


@message("service.DriveRequest")
class DriveRequest(Message):
    """To itself: can a creator's request go on?"""

    request: int


@message("service.MatchDoor")
class MatchDoor(Message):
    """To itself: can who takes part at this socket go on?"""

    door: tuple[int, str, int]


@message("service.CheckLate")
class CheckLate(Message):
    """To itself: has the next pair come in time?"""

    request: int
    done: int


@dataclass(eq=False)
class _Making:
    """A creator's request. `own`, `theirs`: memories for the next pairs, here and there. `reserved`: those taken for a
    half that is measured. `lacking_ns`: since when there is no memory for one."""

    want: WantPairs
    peer: str
    circuit: str
    first: int
    fidelity: float = 0.5
    own: deque[int] = field(default_factory=deque)
    theirs: deque[int] = field(default_factory=deque)
    reserved: set[int] = field(default_factory=set)
    begun: int = 0
    done: int = 0
    opened: bool = False
    busy: bool = False
    ended: bool = False
    lacking_ns: int | None = None


@dataclass(eq=False)
class _Taking:
    """A request to take part. `told`: offers that its program knows of."""

    want: WantPairs
    grants: deque[int] = field(default_factory=deque)
    reserved: set[int] = field(default_factory=set)
    told: list[_Offered] = field(default_factory=list)
    assigned: int = 0
    done: int = 0
    ended: bool = False


@dataclass(eq=False)
class _Offered:
    """What a remote creator wants. `busy`: a half of it is on its way to be measured."""

    offer: OfferPairs
    assigned: int = 0
    done: int = 0
    busy: bool = False
    ended: bool = False
    lacking_ns: int | None = None

    @property
    def peer(self) -> str:
        return qnpu(self.offer.node)


@dataclass(eq=False)
class _Half:
    """What a memory waits for: pair `index` of an own request; at the far end also of an offer."""

    of: _Making | _Taking
    index: int
    began_ns: int
    offered: _Offered | None = None


class ProgramPairs(Element):
    """The part of a quantum network processing unit that gets pairs."""

    def __init__(self, name: str, node: str, settle_ns: int) -> None:
        super().__init__(name, node)
        self._node = node
        self._settle_ns = settle_ns
        self._making: dict[int, _Making] = {}
        self._taking: dict[int, _Taking] = {}
        self._offers: dict[Door, list[_Offered]] = {}
        self._matching: set[Door] = set()
        self._coming: dict[int, _Half] = {}
        self._pairs_to: dict[str, int] = {}

    async def _act(
        self, ctx: Context, name: str, slots: tuple[int, ...], angle_rad: float = 0.0, pauli: str = "I"
    ) -> SlotsDone:
        order = OperateSlots(self.name, name, slots, "Z", angle_rad, pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        return done

    def _publish(self, ctx: Context, news: PairsMatched | PairMade | PairsFailed) -> None:
        ctx.publish(f"{QNPU_NEWS}.{self._node}", news)

    # -- what programs ask ---------------------------------------------------------------------------

    @handles(WantPairs)
    async def on_want(self, ctx: Context, msg: WantPairs) -> QnpuHeard:
        if len(self._making) + len(self._taking) >= MOST_REQUESTS:
            raise Problem("overloaded", f"{MOST_REQUESTS} requests for pairs are under way at {self._node}")
        if not msg.creator:
            self._taking[msg.request] = _Taking(msg)
            ctx.tell(self.name, MatchDoor(_door(msg)))
            return QnpuHeard()
        first = self._pairs_to.get(msg.remote, 0)
        self._pairs_to[msg.remote] = first + msg.pairs
        # Known from now on, since grants follow at once; busy until the other end has heard.
        making = _Making(msg, qnpu(msg.remote), f"{self.name}/{msg.request}", first, busy=True)
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

    async def _offer(self, ctx: Context, making: _Making) -> None:
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
            ctx.tell(self.name, MatchDoor(_door(taking.want)))
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

    async def _drive(self, ctx: Context, making: _Making) -> None:
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

    async def _reserve_own(self, ctx: Context, making: _Making) -> bool:
        """A memory for the next half that is measured here; one at a time."""
        if making.reserved:
            return False
        slot = await self._reserve(ctx, making.circuit)
        if slot is None:
            making.lacking_ns = ctx.now if making.lacking_ns is None else making.lacking_ns
            if ctx.now - making.lacking_ns >= LONGEST_LACK_NS:
                raise Problem("no-memory", _lack(self._node))
            ctx.tell(self.name, DriveRequest(making.want.request), after=RETRY_NS)
            return False
        if making.ended:
            await ctx.ask(memory(self._node), FreeSlots(self.name, (slot,)), within=WITHIN)
            return False
        making.lacking_ns = None
        making.reserved.add(slot)
        making.own.append(slot)
        return True

    async def _reserve(self, ctx: Context, claim: str) -> int | None:
        try:
            answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, 1, claim=claim), within=WITHIN)
        except Problem as problem:
            if problem.code == "no-memory":
                return None
            raise
        return answer.slots[0]

    async def _begin(self, ctx: Context, making: _Making) -> None:
        head, tail = making.own.popleft(), making.theirs.popleft()
        self._coming[head] = _Half(making, making.begun, ctx.now)
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

    def _limit(self, ctx: Context, making: _Making) -> None:
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

    async def _fail(self, ctx: Context, making: _Making, code: str, text: str) -> None:
        if not making.ended:
            await self._end_making(ctx, making, text)
            self._publish(ctx, PairsFailed(self._node, making.want.request, code, text))

    async def _end_making(self, ctx: Context, making: _Making, text: str) -> None:
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

    async def _withdraw(self, ctx: Context, making: _Making, text: str) -> None:
        try:
            withdraw = WithdrawOffer(making.want.request, self._node, text)
            await ctx.ask(making.peer, withdraw, within=WITHIN)
        except Problem as problem:
            ctx.log.warning("offer.not_withdrawn", peer=making.peer, code=problem.code)

    async def _close(self, ctx: Context, making: _Making) -> None:
        try:
            await ctx.ask(PAIR_CONTROLLER, CloseCircuit(making.circuit), within=WITHIN)
        except Problem as problem:
            ctx.log.warning("circuit.not_closed", circuit=making.circuit, code=problem.code)

    def _forget(self, request: _Making | _Taking) -> None:
        self._coming = {slot: half for slot, half in self._coming.items() if half.of is not request}

    async def _free(self, ctx: Context, slots: set[int]) -> None:
        taken = tuple(sorted(slots))
        slots.clear()
        if taken:
            await ctx.ask(memory(self._node), FreeSlots(self.name, taken), within=WITHIN)

    # -- the other end -------------------------------------------------------------------------------

    @handles(OfferPairs)
    async def on_offer(self, ctx: Context, msg: OfferPairs) -> QnpuHeard:
        door = (msg.remote_socket, msg.node, msg.socket)
        waiting = self._offers.setdefault(door, [])
        if len(waiting) >= MOST_REQUESTS:
            raise Problem("overloaded", f"{MOST_REQUESTS} offers of pairs wait at {self._node}")
        waiting.append(_Offered(msg))
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
        taking = next((t for t in self._taking.values() if _door(t.want) == door and t.assigned < t.want.pairs), None)
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
        self._coming[slot] = _Half(taking, taking.assigned, ctx.now, offered)
        taking.assigned, offered.assigned = taking.assigned + 1, offered.assigned + 1
        ctx.tell(offered.peer, PairSlot(offered.offer.request, slot))
        return True

    async def _lack(self, ctx: Context, offered: _Offered, door: Door) -> None:
        offered.lacking_ns = ctx.now if offered.lacking_ns is None else offered.lacking_ns
        if ctx.now - offered.lacking_ns < LONGEST_LACK_NS:
            ctx.tell(self.name, MatchDoor(door), after=RETRY_NS)
        else:
            ctx.tell(offered.peer, BreakOff(offered.offer.request, "NORES", _lack(self._node)))

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

    async def _expire(self, ctx: Context, taking: _Taking, text: str) -> None:
        if self._taking.pop(taking.want.request, None) is not None:
            self._publish(ctx, PairsFailed(self._node, taking.want.request, "EXPIRE", text))
            await self._end_taking(ctx, taking, "EXPIRE", text)

    async def _end_taking(self, ctx: Context, taking: _Taking, code: str, text: str) -> None:
        """Take no more part; offers that its program knew of fail at their creator's, too."""
        taking.ended = True
        for offered in [o for o in taking.told if not o.ended]:
            try:
                await ctx.ask(offered.peer, BreakOff(offered.offer.request, code, text), within=WITHIN)
            except Problem as problem:
                ctx.log.warning("offer.not_broken_off", peer=offered.peer, code=problem.code)
        self._forget(taking)
        await self._free(ctx, taking.reserved)

    def _forget_offer(self, door: Door, offered: _Offered) -> None:
        offered.ended = True
        waiting = self._offers.get(door, [])
        if offered in waiting:
            waiting.remove(offered)
        if not waiting:
            self._offers.pop(door, None)

    # -- halves that come ----------------------------------------------------------------------------

    @handles(HalfReady)
    async def on_half(self, ctx: Context, msg: HalfReady) -> None:
        half = self._coming.get(msg.slot)
        if half is None or msg.circuit != _circuit(half):
            # Its request ended while it was on its way.
            await self._act(ctx, "discard", (msg.slot,))
            return
        del self._coming[msg.slot]
        reading = _reading(half)
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
        self._publish(ctx, _news(self._node, half, msg, outcome, basis))
        if isinstance(half.of, _Making):
            await self._made(ctx, half.of)
        else:
            assert half.offered is not None
            await self._taken(ctx, half.of, half.offered)

    async def _spoil(self, ctx: Context, request: _Making | _Taking, text: str) -> None:
        """A request cannot go on here: it fails at both ends."""
        if isinstance(request, _Making):
            await self._fail(ctx, request, "GENERAL", text)
        elif self._taking.pop(request.want.request, None) is not None:
            self._publish(ctx, PairsFailed(self._node, request.want.request, "GENERAL", text))
            await self._end_taking(ctx, request, "EXPIRE", text)

    async def _read(self, ctx: Context, slot: int, reading: PairReading) -> tuple[int, int]:
        """What is read, and the basis if it was drawn."""
        basis = 0
        if reading.random:
            choices = BASES[reading.random]
            basis = choices[int(ctx.rng("bases").integers(len(choices)))]
            for name, angle in TURNS[basis]:
                await self._act(ctx, name, (slot,), angle, "Z" if name == "correct" else "I")
        else:
            for axis, units in zip(AXES[reading.axes], reading.rotations, strict=True):
                if units:
                    await self._act(ctx, axis, (slot,), units * pi / 16)
        return (await self._act(ctx, "measure", (slot,))).bits[0], basis

    async def _made(self, ctx: Context, making: _Making) -> None:
        making.done += 1
        if making.done < making.want.pairs:
            self._limit(ctx, making)
            await self._drive(ctx, making)
        elif not making.ended:
            making.ended = True
            del self._making[making.want.request]
            await self._close(ctx, making)

    async def _taken(self, ctx: Context, taking: _Taking, offered: _Offered) -> None:
        taking.done, offered.done, offered.busy = taking.done + 1, offered.done + 1, False
        door = _door(taking.want)
        if offered.done == offered.offer.pairs:
            self._forget_offer(door, offered)
        if taking.done == taking.want.pairs:
            taking.ended = True
            self._taking.pop(taking.want.request, None)
        await self._match(ctx, door)


def _door(want: WantPairs) -> Door:
    return want.socket, want.remote, want.remote_socket


def _lack(node: str) -> str:
    return f"no memory of {node} was free for {LONGEST_LACK_NS // 10**9} s to measure a half in"


def _circuit(half: _Half) -> str:
    return half.of.circuit if isinstance(half.of, _Making) else half.offered.offer.circuit if half.offered else ""


def _reading(half: _Half) -> PairReading | None:
    """How the half is measured; None if it is kept."""
    if isinstance(half.of, _Making):
        return None if half.of.want.kind == KEEP else half.of.want.local
    assert half.offered is not None
    return half.offered.offer.reading if half.offered.offer.kind == MEASURE else None


def _news(node: str, half: _Half, ready: HalfReady, outcome: int | None, basis: int) -> PairMade:
    making = isinstance(half.of, _Making)
    if isinstance(half.of, _Making):
        kind, create_id, first = half.of.want.kind, half.of.want.request, half.of.first
    else:
        assert half.offered is not None
        kind, create_id, first = half.offered.offer.kind, half.offered.offer.request, half.offered.offer.first
    return PairMade(
        node, half.of.want.request, half.index, kind, create_id, first + ready.number - 1, making, ready.at_ns,
        ready.at_ns - half.began_ns, ready.slot if outcome is None else None, outcome, basis,
    )  # fmt: skip
