"""A node's quantum memories: who holds which, in which state of a qubit's life, and operations on them.

The life of a memory is free -> reserved -> held -> free. Reserved ones wait for a pair of a circuit; held ones have a
qubit in them. Whoever reserved a memory, its *holder*, is the only one who may have it operated on.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.engine.api import PAIRS, Calibrate, InstallCircuit, MorePairs, Operate, Operated, PairHeld, StopCircuit
from quoit.engine.program import Circuit
from quoit.fabric.api import Done, FreeSlots, HalfReady, OperateSlots, ReserveSlots, Slots, SlotsDone, memory
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


@dataclass
class _Slot:
    holder: str = ""
    held: bool = False


class MemoryAgent(Element):
    """Keeps the memories of one node."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("D2", "D3", "F6")

    def __init__(self, node: str, memories: int) -> None:
        super().__init__(memory(node), node)
        self._node = node
        self._slots = [_Slot() for _ in range(memories)]
        self._holders: dict[str, str] = {}

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
            self._slots[number] = _Slot(msg.holder)
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
            self._slots[number] = _Slot()
            freed.append(number)
        if freed:
            ctx.emit("memory.freed", node=self._node, slots=tuple(freed), holder=msg.holder)
        return Slots(tuple(freed))

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
        )
        ctx.tell(PAIRS, install)

    @handles(ExpectPairs)
    async def on_expect(self, ctx: Context, msg: ExpectPairs) -> None:
        self._holders[msg.circuit] = msg.holder

    @handles(RenewPair)
    async def on_renew(self, ctx: Context, msg: RenewPair) -> None:
        ctx.tell(PAIRS, MorePairs(msg.circuit, msg.head_slot, msg.tail_slot))

    @handles(EndProgram)
    async def on_end(self, ctx: Context, msg: EndProgram) -> None:
        if self._holders.pop(msg.circuit, None) is not None:
            ctx.tell(PAIRS, StopCircuit(msg.circuit, msg.leaves))

    @handles(PairHeld)
    async def on_held(self, ctx: Context, msg: PairHeld) -> None:
        holder = self._holders.get(msg.circuit)
        slot = self._slots[msg.slot]
        slot.held = True
        if holder is None or slot.holder != holder:
            # Its unit ended while the pair was on its way.
            await self._discard(ctx, msg.slot)
            slot.held = False
            return
        ctx.emit("memory.held", node=self._node, slot=msg.slot, circuit=msg.circuit, number=msg.number)
        ctx.tell(holder, HalfReady(msg.circuit, msg.number, self._node, msg.slot, msg.at_ns))

    @handles(AdjustLink)
    async def on_adjust(self, ctx: Context, msg: AdjustLink) -> Done:
        await ctx.ask(PAIRS, Calibrate(msg.link, msg.takes_ns), within=msg.takes_ns + WITHIN)
        ctx.emit("pair-link.calibrated", link=msg.link, took_ns=msg.takes_ns)
        return Done()

    # -- operations ----------------------------------------------------------------------------------

    @handles(OperateSlots)
    async def on_operate(self, ctx: Context, msg: OperateSlots) -> SlotsDone:
        for number in msg.slots:
            if not 0 <= number < len(self._slots) or self._slots[number].holder != msg.holder:
                raise Problem("bad-operation", f"memory {number} of {self._node} is not the caller's")
        self._check(msg)
        slots = {number: self._slots[number] for number in msg.slots}  # as they are now: they may be given up meanwhile
        done: Operated = await ctx.ask(
            PAIRS, Operate(self._node, msg.name, msg.slots, msg.basis, msg.angle_rad, msg.pauli), within=WITHIN
        )
        for number in _emptied(msg):
            slots[number].held = False
        if msg.name in ("init", "move"):
            slots[msg.slots[-1]].held = True
        return SlotsDone(done.bits, done.ok, done.done_ns)

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
