"""A node's quantum memories: who holds which, in which state of a qubit's life, and operations on them.

The life of a memory's qubit is a machine of states (`fabric.qubits`): each step is checked, and who may look sees where
it is. Whoever reserved a memory, its *holder*, is the only one who may have it operated on, or hand it to another one.
"""

from __future__ import annotations

from quoit.engine.api import PAIRS, Calibrate, InstallCircuit, MorePairs, Operate, Operated, PairHeld, StopCircuit
from quoit.engine.program import Circuit
from quoit.fabric.api import (
    Done,
    FreeSlots,
    GetMemories,
    HalfReady,
    HandOver,
    MemoryRow,
    MemoryRows,
    OperateSlots,
    ReserveSlots,
    Slots,
    SlotsDone,
    memory,
)
from quoit.fabric.qubits import MemoryQubit, QubitState
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 5_000_000_000


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


class MemoryAgent(Element):
    """Keeps the memories of one node."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("D2", "D3", "F6")

    def __init__(self, node: str, memories: int) -> None:
        super().__init__(memory(node), node)
        self._node = node
        self._slots = [MemoryQubit() for _ in range(memories)]
        self._holders: dict[str, str] = {}
        self._tries: dict[int, str] = {}
        """Memories for which attempts have begun, each with the circuit that makes them."""

    # -- reservation ---------------------------------------------------------------------------------

    @handles(ReserveSlots)
    async def on_reserve(self, ctx: Context, msg: ReserveSlots) -> Slots:
        free = [number for number, slot in enumerate(self._slots) if not slot.holder]
        if len(free) < msg.number:
            raise Problem(
                "no-memory",
                f"{self._node} has {len(free)} memories free, {msg.number} are needed",
                node=self._node, free=len(free), needed=msg.number,
            )  # fmt: skip
        taken = tuple(free[: msg.number])
        for number in taken:
            self._slots[number].step(QubitState.RESERVED, ctx.now)
            self._slots[number].holder = msg.holder
        ctx.emit("memory.reserved", node=self._node, slots=taken, holder=msg.holder)
        return Slots(taken)

    @handles(FreeSlots)
    async def on_free(self, ctx: Context, msg: FreeSlots) -> Slots:
        freed = []
        for number in msg.slots:
            slot = self._slots[number]
            if slot.holder != msg.holder:
                continue
            if slot.held:
                await self._discard(ctx, number)
            if slot.holder != msg.holder:
                continue  # given back twice, and the other time was quicker
            slot.walk(ctx.now, QubitState.RELEASE, QubitState.RAW)
            slot.holder = ""
            self._tries.pop(number, None)
            freed.append(number)
        if freed:
            ctx.emit("memory.freed", node=self._node, slots=tuple(freed), holder=msg.holder)
        return Slots(tuple(freed))

    @handles(HandOver)
    async def on_hand_over(self, ctx: Context, msg: HandOver) -> Slots:
        strange = [n for n in msg.slots if not self._is_of(n, msg.holder)]
        if strange:
            raise Problem("bad-operation", f"memory {strange[0]} of {self._node} is not the caller's")
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
        ready = HalfReady(
            msg.circuit, msg.number, self._node, msg.slot, msg.at_ns, msg.attempt_ns, msg.heralded_ns, msg.corrected_ns
        )
        ctx.tell(holder, ready)

    @handles(AdjustLink)
    async def on_adjust(self, ctx: Context, msg: AdjustLink) -> Done:
        await ctx.ask(PAIRS, Calibrate(msg.link, msg.takes_ns), within=msg.takes_ns + WITHIN)
        ctx.emit("pair-link.calibrated", link=msg.link, took_ns=msg.takes_ns)
        return Done()

    # -- operations ----------------------------------------------------------------------------------

    @handles(OperateSlots)
    async def on_operate(self, ctx: Context, msg: OperateSlots) -> SlotsDone:
        for number in msg.slots:
            if not self._is_of(number, msg.holder):
                raise Problem("bad-operation", f"memory {number} of {self._node} is not the caller's")
        self._check(msg)
        begun_ns, lives = ctx.now, {number: self._slots[number].lives for number in msg.slots}
        done: Operated = await ctx.ask(
            PAIRS, Operate(self._node, msg.name, msg.slots, msg.basis, msg.angle_rad, msg.pauli), within=WITHIN
        )
        self._note(ctx, msg, begun_ns, lives)
        return SlotsDone(done.bits, done.ok, done.done_ns)

    def _note(self, ctx: Context, msg: OperateSlots, begun_ns: int, lives: dict[int, int]) -> None:
        """What an operation has done to the memories' lives; not to those that were given up meanwhile."""
        for number in msg.slots:
            qubit = self._slots[number]
            if qubit.held and qubit.lives == lives[number]:
                qubit.worked(begun_ns, ctx.now)
        before = {number: self._slots[number].state for number in msg.slots}
        for number in _emptied(msg):
            qubit = self._slots[number]
            if qubit.held and qubit.lives == lives[number] and qubit.holder == msg.holder:
                qubit.walk(ctx.now, *_END[msg.name], QubitState.RELEASE, QubitState.RESERVED)
        if msg.name in ("init", "move"):
            target = self._slots[msg.slots[-1]]
            if target.state is QubitState.RESERVED and target.holder == msg.holder:
                is_pair = msg.name == "move" and before[msg.slots[0]] is not QubitState.LOCAL
                target.step(QubitState.ELIGIBLE if is_pair else QubitState.LOCAL, ctx.now)

    def _check(self, msg: OperateSlots) -> None:
        held = [self._slots[number].held for number in msg.slots]
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


def _emptied(msg: OperateSlots) -> tuple[int, ...]:
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
