"""A node's quantum memories: who holds which, in which state of a qubit's life, and operations on them.

The life of a memory is free -> reserved -> held -> free. Reserved ones wait for a pair of a circuit; held ones have a
qubit in them. Whoever reserved a memory, its *holder*, is the only one who may have it operated on.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.engine.api import (
    PAIRS,
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
    CountSlots,
    FreeSlots,
    HalfReady,
    OperateSlots,
    ReserveSlots,
    RunSteps,
    SlotCount,
    Slots,
    SlotsDone,
    SlotStep,
    StepsDone,
    memory,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

WITHIN = 5_000_000_000
BUSY_NS = 50_000
"""How often a memory that is to be given back is looked at while its device is at work."""


@message("fabric.RunProgram")
class RunProgram(Message):
    """Control to the node at a circuit's head: run it. Slots at both ends have been reserved by their holders."""

    circuit: str
    links: tuple[str, ...]
    tail: str
    program: Circuit
    head_slots: tuple[int, ...]
    tail_slots: tuple[int, ...]
    head_holder: str


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
    circuit: str


@dataclass
class _Slot:
    """`busy`: the device is at a program that has this memory in it."""

    holder: str = ""
    held: bool = False
    busy: bool = False


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

    @handles(CountSlots)
    async def on_count(self, ctx: Context, msg: CountSlots) -> SlotCount:
        return SlotCount(sum(not slot.holder for slot in self._slots), len(self._slots))

    @handles(FreeSlots)
    async def on_free(self, ctx: Context, msg: FreeSlots) -> Slots:
        while any(self._slots[number].busy for number in msg.slots):
            await ctx.sleep(BUSY_NS)  # what its later steps would do to another's qubits is nobody's wish
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
            ctx.tell(PAIRS, StopCircuit(msg.circuit))

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

    # -- operations ----------------------------------------------------------------------------------

    @handles(OperateSlots)
    async def on_operate(self, ctx: Context, msg: OperateSlots) -> SlotsDone:
        for number in msg.slots:
            self._need_holder(number, msg.holder)
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

    @handles(RunSteps)
    async def on_steps(self, ctx: Context, msg: RunSteps) -> StepsDone:
        named = {number for step in msg.steps for number in step.slots}
        for number in named:
            self._need_holder(number, msg.holder)
        slots = {number: self._slots[number] for number in named}
        if any(slot.busy for slot in slots.values()):
            raise Problem("bad-operation", f"{self._node} is still at another program with these memories")
        orders = tuple(Operate(self._node, s.name, s.slots, s.basis, s.angle_rad) for s in msg.steps)
        for slot in slots.values():
            slot.busy = True
        try:
            done: OperatedInTurn = await ctx.ask(PAIRS, OperateInTurn(orders), within=WITHIN)
        except Problem:
            # How far it came is not known: whoever gives these memories back has all of them emptied.
            for slot in slots.values():
                slot.held = True
            raise
        finally:
            for slot in slots.values():
                slot.busy = False
        for step in msg.steps:
            for number in _emptied(step):
                slots[number].held = False
            if step.name == "init":
                slots[step.slots[0]].held = True
        return StepsDone(done.bits, done.began_ns, done.done_ns)

    def _need_holder(self, number: int, holder: str) -> None:
        if not 0 <= number < len(self._slots) or self._slots[number].holder != holder:
            raise Problem("bad-operation", f"memory {number} of {self._node} is not the caller's")

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
