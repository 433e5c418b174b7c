"""A node's quantum memories: who holds which, in which state of a qubit's life, and operations on them.

The life of a memory's qubit is a machine of states (`fabric.qubits`): each step is checked, and who may look sees where
it is. Whoever reserved a memory, its *holder*, is the only one who may have it operated on, or hand it to another one.
"""

from __future__ import annotations

from quoit.engine.api import (
    PAIRS,
    Calibrate,
    CircuitCounted,
    InstallCircuit,
    MorePairs,
    Operate,
    Operated,
    OperatedInTurn,
    OperateInTurn,
    PairHeld,
    StopCircuit,
)
from quoit.engine.program import Circuit
from quoit.fabric.api import (
    PAIR_CONTROLLER,
    PAIR_NEWS,
    CountSlots,
    Done,
    FreeSlots,
    GetMemories,
    HalfReady,
    HandOver,
    MemoryRow,
    MemoryRows,
    OperateSlots,
    PairDelivered,
    ReserveSlots,
    RunSteps,
    SlotCount,
    Slots,
    SlotsDone,
    SlotStep,
    StepsDone,
    memory,
)
from quoit.fabric.claims import Claims
from quoit.fabric.qubits import MemoryQubit, QubitState
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 5_000_000_000
BUSY_NS = 50_000
"""How often a memory that is to be given back is looked at while its device is at work."""
TOLD_OF = 8
"""Control need not know of more free memories than that: a circuit that purifies as much as pays could pass."""


def transit_holder(circuit: str) -> str:
    """In whose name control has memories kept for a circuit."""
    return f"{PAIR_CONTROLLER} {circuit}"


@message("fabric.RunProgram")
class RunProgram(Message):
    """Control to the node at a circuit's head: run it. Slots at both ends have been reserved by their holders; without
    any it keeps pairs ready that nobody has asked for. `adopts`: the circuit that goes on under this name."""

    circuit: str
    links: tuple[str, ...]
    tail: str
    program: Circuit
    head_slots: tuple[int, ...]
    tail_slots: tuple[int, ...]
    head_holder: str
    adopts: str = ""
    early: bool = False


@message("fabric.ExpectPairs")
class ExpectPairs(Message):
    """Control to the node at a circuit's tail: halves of this circuit belong to `holder`."""

    circuit: str
    holder: str


@message("fabric.RenewPair")
class RenewPair(Message):
    """Control to the node at a circuit's head: make one pair more, into these slots."""

    circuit: str
    head_slot: int
    tail_slot: int


@message("fabric.EndProgram")
class EndProgram(Message):
    """`leaves`: the name under which the circuit keeps pairs ready for the next demand."""

    circuit: str
    leaves: str = ""


@message("fabric.AdjustLink")
class AdjustLink(Message):
    """Control to the first node of a link: adjust its devices, which takes so long. Answered with `Done`."""

    link: str
    takes_ns: int


@message("fabric.MemoriesLeft")
class MemoriesLeft(Message):
    """A node's agent to control: so many of its memories are free, `TOLD_OF` at most."""

    node: str
    free: int


class MemoryAgent(Element):
    """Keeps the memories of one node."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("D2", "D3", "F6")

    def __init__(self, node: str, memories: int) -> None:
        super().__init__(memory(node), node)
        self._node = node
        self._slots = [MemoryQubit() for _ in range(memories)]
        self._holders: dict[str, str] = {}
        self._heads: set[str] = set()
        self._tries: dict[int, str] = {}
        """Memories for which attempts have begun, each with the circuit that makes them."""
        self._claims = Claims()
        self._told = TOLD_OF if memories > TOLD_OF else memories

    # -- reservation ---------------------------------------------------------------------------------

    @handles(ReserveSlots)
    async def on_reserve(self, ctx: Context, msg: ReserveSlots) -> Slots:
        free = [number for number, slot in enumerate(self._slots) if not slot.holder]
        kept = self._claims.kept(msg.claim, msg.priority, "", ctx.now)
        if len(free) - kept < msg.number:
            raise self._refusal(ctx, msg, len(free), kept)
        self._claims.over(msg.claim)
        taken = tuple(free[: msg.number])
        for number in taken:
            self._slots[number].step(QubitState.RESERVED, ctx.now)
            self._slots[number].holder = msg.holder
        ctx.emit("memory.reserved", node=self._node, slots=taken, holder=msg.holder)
        self._tell_left(ctx)
        return Slots(taken)

    def _refusal(self, ctx: Context, msg: ReserveSlots, free: int, kept: int) -> Problem:
        """Whoever tries again has what it needs kept, unless there could never be so many."""
        if msg.claim and msg.number <= len(self._slots):
            self._claims.wait(msg.claim, msg.priority, {"": msg.number}, ctx.now)
        left = max(0, free - kept)
        why = f" beside those kept for others that go before it, {msg.number} are needed" if left < free else ""
        return Problem(
            "no-memory",
            f"{self._node} has {left} memories free" + (why or f", {msg.number} are needed"),
            node=self._node, free=left, needed=msg.number,
        )  # fmt: skip

    def _tell_left(self, ctx: Context) -> None:
        left = min(TOLD_OF, sum(not slot.holder for slot in self._slots))
        if left != self._told:
            self._told = left
            ctx.tell(PAIR_CONTROLLER, MemoriesLeft(self._node, left))

    @handles(CountSlots)
    async def on_count(self, ctx: Context, msg: CountSlots) -> SlotCount:
        return SlotCount(sum(not slot.holder for slot in self._slots), len(self._slots))

    @handles(FreeSlots)
    async def on_free(self, ctx: Context, msg: FreeSlots) -> Slots:
        while any(self._slots[number].busy for number in msg.slots):
            await ctx.sleep(BUSY_NS)  # what its later steps would do to another's qubits is nobody's wish
        for number in msg.slots:
            slot = self._slots[number]
            if slot.holder == msg.holder and (slot.held or slot.doubtful):
                await self._discard(ctx, number)
        # At one instant, and told then: whoever takes one next is told of later. Some may have been given back twice.
        freed = tuple(number for number in dict.fromkeys(msg.slots) if self._slots[number].holder == msg.holder)
        for number in freed:
            slot = self._slots[number]
            slot.walk(ctx.now, QubitState.RELEASE, QubitState.RAW)
            slot.holder, slot.doubtful = "", False
            self._tries.pop(number, None)
        if freed:
            ctx.emit("memory.freed", node=self._node, slots=freed, holder=msg.holder)
            self._tell_left(ctx)
        return Slots(freed)

    @handles(HandOver)
    async def on_hand_over(self, ctx: Context, msg: HandOver) -> Slots:
        for number in msg.slots:
            self._need_holder(number, msg.holder)
        if any(self._slots[number].busy for number in msg.slots):
            raise Problem("bad-operation", f"{self._node} is still at a program with these memories")
        for number in msg.slots:
            self._slots[number].holder = msg.to
        return Slots(msg.slots)

    @handles(GetMemories)
    async def on_get(self, ctx: Context, msg: GetMemories) -> MemoryRows:
        now = ctx.now
        return MemoryRows(
            tuple(
                MemoryRow(n, str(q.state), q.owner, q.holder, q.since_ns, q.lives, q.idle_at(now))
                for n, q in enumerate(self._slots)
            )
        )

    def _is_of(self, number: int, holder: str) -> bool:
        return 0 <= number < len(self._slots) and self._slots[number].holder == holder

    def _attempting(self, ctx: Context, circuit: str, slots: tuple[int, ...]) -> None:
        """Attempts at entanglement begin for these memories, if they are kept and empty."""
        for number in slots:
            if self._slots[number].state is QubitState.RESERVED:
                self._slots[number].step(QubitState.ACTIVE, ctx.now)
                self._tries[number] = circuit

    def _attempts_over(self, ctx: Context, circuit: str) -> None:
        """What a circuit has made no pair for is empty still, and its holder's to use."""
        for number in [number for number, tried in self._tries.items() if tried == circuit]:
            del self._tries[number]
            if self._slots[number].state is QubitState.ACTIVE:
                self._slots[number].walk(ctx.now, QubitState.RELEASE, QubitState.RESERVED)

    async def _discard(self, ctx: Context, number: int) -> None:
        """Empty a memory, unless an operation that was under way has done so."""
        try:
            await ctx.ask(PAIRS, Operate(self._node, "discard", (number,)), within=WITHIN)
        except Problem as problem:
            if problem.code != "bad-operation":
                raise

    # -- circuits ------------------------------------------------------------------------------------

    @handles(RunProgram)
    async def on_run(self, ctx: Context, msg: RunProgram) -> None:
        self._holders[msg.circuit] = msg.head_holder
        self._heads.add(msg.circuit)
        self._attempting(ctx, msg.circuit, msg.head_slots)
        install = InstallCircuit(
            msg.circuit,
            msg.links,
            self._node,
            msg.tail,
            self.name,
            memory(msg.tail),
            msg.program,
            msg.head_slots,
            msg.tail_slots,
            msg.adopts,
            msg.early,
        )
        ctx.tell(PAIRS, install)

    @handles(ExpectPairs)
    async def on_expect(self, ctx: Context, msg: ExpectPairs) -> None:
        self._holders[msg.circuit] = msg.holder

    @handles(RenewPair)
    async def on_renew(self, ctx: Context, msg: RenewPair) -> None:
        self._attempting(ctx, msg.circuit, (msg.head_slot,))
        ctx.tell(PAIRS, MorePairs(msg.circuit, msg.head_slot, msg.tail_slot))

    @handles(EndProgram)
    async def on_end(self, ctx: Context, msg: EndProgram) -> None:
        """A node between its ends gives back what it has kept for the circuit."""
        holder = transit_holder(msg.circuit)
        kept = tuple(number for number, slot in enumerate(self._slots) if slot.holder == holder)
        if kept:
            await self.on_free(ctx, FreeSlots(holder, kept))
        self._heads.discard(msg.circuit)
        if self._holders.pop(msg.circuit, None) is not None:
            self._attempts_over(ctx, msg.circuit)
            ctx.tell(PAIRS, StopCircuit(msg.circuit, msg.leaves))

    @handles(PairHeld)
    async def on_held(self, ctx: Context, msg: PairHeld) -> None:
        holder = self._holders.get(msg.circuit)
        slot = self._slots[msg.slot]
        if holder is None or slot.holder != holder:
            # Its unit ended while the pair was on its way.
            await self._discard(ctx, msg.slot)
            return
        self._tries.pop(msg.slot, None)
        slot.walk(ctx.now, QubitState.ENTANGLED, QubitState.ELIGIBLE)
        ctx.emit("memory.held", node=self._node, slot=msg.slot, circuit=msg.circuit, number=msg.number)
        if msg.circuit in self._heads:  # one of the two ends counts
            ctx.count("quoit_pairs_delivered_total", (self._node,))
            ctx.publish(f"{PAIR_NEWS}.{self._node}", PairDelivered(self._node, msg.circuit, msg.at_ns))
        ready = HalfReady(
            msg.circuit, msg.number, self._node, msg.slot, msg.at_ns, msg.attempt_ns, msg.heralded_ns, msg.corrected_ns
        )
        ctx.tell(holder, ready)

    @handles(CircuitCounted)
    async def on_counted(self, ctx: Context, msg: CircuitCounted) -> None:
        for what in ("heralds", "swaps", "purifications", "failed", "expired"):
            number = getattr(msg, what)
            if number:
                ctx.count("quoit_pair_steps_total", (self._node, what), number)

    @handles(AdjustLink)
    async def on_adjust(self, ctx: Context, msg: AdjustLink) -> Done:
        await ctx.ask(PAIRS, Calibrate(msg.link, msg.takes_ns), within=msg.takes_ns + WITHIN)
        ctx.emit("pair-link.calibrated", link=msg.link, took_ns=msg.takes_ns)
        return Done()

    # -- operations ----------------------------------------------------------------------------------

    @handles(OperateSlots)
    async def on_operate(self, ctx: Context, msg: OperateSlots) -> SlotsDone:
        for number in msg.slots:
            self._need_holder(number, msg.holder)
        self._check(msg)
        begun_ns, lives = ctx.now, {number: self._slots[number].lives for number in msg.slots}
        done: Operated = await ctx.ask(
            PAIRS, Operate(self._node, msg.name, msg.slots, msg.basis, msg.angle_rad, msg.pauli), within=WITHIN
        )
        self._note(ctx, msg, begun_ns, lives)
        return SlotsDone(done.bits, done.ok, done.done_ns)

    @handles(RunSteps)
    async def on_steps(self, ctx: Context, msg: RunSteps) -> StepsDone:
        named = {number for step in msg.steps for number in step.slots}
        for number in named:
            self._need_holder(number, msg.holder)
        qubits = [self._slots[number] for number in named]
        if any(qubit.busy for qubit in qubits):
            raise Problem("bad-operation", f"{self._node} is still at another program with these memories")
        orders = tuple(Operate(self._node, s.name, s.slots, s.basis, s.angle_rad) for s in msg.steps)
        for qubit in qubits:
            qubit.busy = True
        try:
            done: OperatedInTurn = await ctx.ask(PAIRS, OperateInTurn(orders), within=WITHIN)
        except Problem:
            # How far it came is not known: whoever gives these memories back has all of them emptied.
            for qubit in qubits:
                qubit.doubtful = True
            raise
        finally:
            for qubit in qubits:
                qubit.busy = False
        for step in msg.steps:
            self._note(ctx, step, done.began_ns, {number: self._slots[number].lives for number in step.slots})
        return StepsDone(done.bits, done.began_ns, done.done_ns)

    def _note(self, ctx: Context, done: OperateSlots | SlotStep, begun_ns: int, lives: dict[int, int]) -> None:
        """What an operation has done to the memories' lives; not to those that were given up meanwhile."""
        for number in done.slots:
            qubit = self._slots[number]
            if qubit.held and qubit.lives == lives[number]:
                qubit.worked(begun_ns, ctx.now)
        before = {number: self._slots[number].state for number in done.slots}
        holder = done.holder if isinstance(done, OperateSlots) else None  # busy memories are not given up
        for number in _emptied(done):
            qubit = self._slots[number]
            if qubit.held and qubit.lives == lives[number] and holder in (None, qubit.holder):
                qubit.walk(ctx.now, *_END[done.name], QubitState.RELEASE, QubitState.RESERVED)
        if done.name in ("init", "move"):
            target = self._slots[done.slots[-1]]
            if target.state is QubitState.RESERVED and holder in (None, target.holder):
                is_pair = done.name == "move" and before[done.slots[0]] is not QubitState.LOCAL
                target.step(QubitState.ELIGIBLE if is_pair else QubitState.LOCAL, ctx.now)

    def _need_holder(self, number: int, holder: str) -> None:
        if not self._is_of(number, holder):
            raise Problem("bad-operation", f"memory {number} of {self._node} is not the caller's")

    def _check(self, msg: OperateSlots) -> None:
        qubits = [self._slots[number] for number in msg.slots]
        held = [qubit.held or qubit.doubtful for qubit in qubits]
        wanted = [msg.name != "init"] * len(held)
        if msg.name == "move":
            wanted = [True, False]
        if len(set(msg.slots)) != len(msg.slots) or held != wanted:
            what = ", ".join(
                f"{n} {'holds a qubit' if h else 'is empty'}" for n, h in zip(msg.slots, held, strict=True)
            )
            raise Problem("bad-operation", f"{msg.name} at {self._node}: {what}")


_END = {
    "measure": (QubitState.CONSUME,),
    "fuse": (QubitState.CONSUME,),
    "bell-measure": (QubitState.SWAPPING,),
    "discard": (),
    "move": (),
}
"""How a qubit's life ends by each operation that empties memories."""


def _emptied(msg: OperateSlots | SlotStep) -> tuple[int, ...]:
    """Memories that an operation leaves empty."""
    match msg.name:
        case "measure" | "discard" | "bell-measure":
            return msg.slots
        case "fuse":
            return msg.slots[1:]
        case "move":
            return msg.slots[:1]
        case _:
            return ()
