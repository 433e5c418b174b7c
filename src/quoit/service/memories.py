"""What applications do at their node: memories of their own, operations on them, messages to each other (D2)."""

from __future__ import annotations

from collections import deque

from quoit.fabric.api import FreeSlots, OperateSlots, ReserveSlots, Slots, SlotsDone, memory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import handles
from quoit.service.api import (
    AllocateMemory,
    FreeMemory,
    Memories,
    Note,
    Notes,
    OperateOn,
    Operation,
    SendNote,
    TakeNotes,
    eme,
)
from quoit.service.assembly import Assembler
from quoit.service.directory import Attachment, Resolve, Resolved, need_leave
from quoit.service.instances import Controllers
from quoit.service.states import CarryNote, Heard

WITHIN = 5_000_000_000
POLL_NS = 2_000_000
MAX_NOTES = 1_000


class MemoryDesk(Assembler):
    """The part of an entanglement management entity that serves applications at their memories."""

    def __init__(self, name: str, node: str, domain: str, apps: tuple[Attachment, ...]) -> None:
        super().__init__(name, node)
        self._domain = domain
        self._apps = {app.sae: app for app in apps}
        self._memory: dict[int, str] = {}
        self._touched: set[int] = set()
        """Memories whose qubit an application has begun to work with, and which hold what only it knows."""
        self._notes: dict[str, deque[Note]] = {sae: deque(maxlen=MAX_NOTES) for sae in self._apps}
        self.know_controllers(1)

    def know_controllers(self, number: int) -> None:
        """So many instances of service control there are in each domain."""
        self._controllers = Controllers(number, WITHIN)

    # -- who is who ----------------------------------------------------------------------------------

    def _app(self, caller: str) -> Attachment:
        if caller not in self._apps:
            raise Problem("not-authorised", "this application is not attached here")
        return self._apps[caller]

    async def _resolve(self, ctx: Context, app: Attachment, name: str) -> Attachment:
        answer: Resolved = await self._controllers.ask(ctx, self._domain, Resolve(name))
        need_leave(app, answer.attachment)
        return answer.attachment

    # -- memories and operations ---------------------------------------------------------------------

    @handles(AllocateMemory)
    async def on_allocate(self, ctx: Context, msg: AllocateMemory) -> Memories:
        self._app(msg.caller)
        answer: Slots = await ctx.ask(memory(self._node), ReserveSlots(self.name, msg.number), within=WITHIN)
        self._memory.update(dict.fromkeys(answer.slots, msg.caller))
        return Memories(tuple(f"{self._node}/{slot}" for slot in answer.slots))

    @handles(FreeMemory)
    async def on_free(self, ctx: Context, msg: FreeMemory) -> Memories:
        slots = self._owned(msg.caller, msg.addresses)
        self._touched.update(slots)
        await ctx.ask(memory(self._node), FreeSlots(self.name, slots), within=WITHIN)
        for slot in slots:
            del self._memory[slot]
            await self.used(ctx, slot)
        return Memories(msg.addresses)

    @handles(OperateOn)
    async def on_operate(self, ctx: Context, msg: OperateOn) -> Operation:
        slots = self._owned(msg.caller, msg.addresses)
        self._touched.update(slots)
        order = OperateSlots(self.name, msg.name, slots, msg.basis, msg.angle_rad, msg.pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        if msg.name in ("measure", "bell-measure", "discard"):
            for slot in slots:
                await self.used(ctx, slot)
        return Operation(done.bits, done.ok, done.done_ns)

    def _owned(self, caller: str, addresses: tuple[str, ...]) -> tuple[int, ...]:
        self._app(caller)
        slots = []
        for address in addresses:
            node, _, number = address.rpartition("/")
            slot = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else -1
            if node != self._node or self._memory.get(slot) != caller:
                raise Problem("bad-operation", f"expected an address of the caller's, found {address[:80]!r}")
            slots.append(slot)
        return tuple(slots)

    async def used(self, ctx: Context, slot: int) -> None:
        """A qubit in this memory has been measured or thrown away."""
        raise NotImplementedError

    # -- classical messages between applications -------------------------------------------------------

    @handles(SendNote)
    async def on_send(self, ctx: Context, msg: SendNote) -> Notes:
        found = await self._resolve(ctx, self._app(msg.caller), msg.to)
        await ctx.ask(eme(found.node), CarryNote(msg.caller, found.sae, msg.text, ctx.now), within=WITHIN)
        return Notes(())

    @handles(CarryNote)
    async def on_carry(self, ctx: Context, msg: CarryNote) -> Heard:
        inbox = self._notes.get(msg.to)
        if inbox is None:
            raise Problem("unknown-sae", "no application of this name can be reached")
        if len(inbox) == MAX_NOTES:
            raise Problem("overloaded", f"{MAX_NOTES} messages wait for this application")
        inbox.append(Note(msg.sender, msg.text, msg.sent_ns, ctx.now))
        return Heard()

    @handles(TakeNotes)
    async def on_take(self, ctx: Context, msg: TakeNotes) -> Notes:
        self._app(msg.caller)
        inbox = self._notes[msg.caller]
        end = ctx.now + msg.wait_ns
        while not inbox and ctx.now < end:
            await ctx.sleep(min(POLL_NS, end - ctx.now))
        taken = tuple(inbox)
        inbox.clear()
        return Notes(taken)
