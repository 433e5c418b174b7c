"""The centre of a unit: waits for the pairs of its star, renews those that wait too long, fuses what is whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import PAIR_CONTROLLER, HalfReady, OperateSlots, RenewHalf, SlotsDone, memory
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, handles
from quoit.service.states import (
    Assemble,
    Assembled,
    CheckAge,
    DropHalf,
    Edge,
    StateReady,
    bound,
    longest_wait,
)

WITHIN = 5_000_000_000


@dataclass
class _Growing:
    """One state on its way: since when each pair is held."""

    held_ns: dict[int, int] = field(default_factory=dict)
    fusing: bool = False


@dataclass
class _Assembly:
    order: Assemble
    states: list[_Growing]
    done: int = 0
    fidelity: float = 1.0
    at_ns: int = 0
    expires_ns: int | None = None
    circuits: dict[str, int] = field(default_factory=dict)


class Assembler(Element):
    """The part of an entanglement management entity that works as a unit's centre."""

    def __init__(self, name: str, node: str) -> None:
        super().__init__(name, node)
        self._node = node
        self._assemblies: dict[str, _Assembly] = {}
        self._circuits: dict[str, str] = {}

    async def _act(
        self, ctx: Context, name: str, slots: tuple[int, ...], basis: str = "Z", pauli: str = "I"
    ) -> SlotsDone:
        order = OperateSlots(self.name, name, slots, basis, 0.0, pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        return done

    @handles(Assemble)
    async def on_assemble(self, ctx: Context, msg: Assemble) -> None:
        assembly = _Assembly(msg, [_Growing() for _ in range(msg.number)])
        assembly.circuits = {edge.circuit: number for number, edge in enumerate(msg.edges)}
        self._assemblies[msg.unit_id] = assembly
        self._circuits.update(dict.fromkeys(assembly.circuits, msg.unit_id))

    def _forget_assembly(self, unit_id: str) -> None:
        assembly = self._assemblies.pop(unit_id, None)
        for circuit in assembly.circuits if assembly is not None else ():
            self._circuits.pop(circuit, None)

    @handles(HalfReady)
    async def on_half(self, ctx: Context, msg: HalfReady) -> None:
        assembly = self._assemblies.get(self._circuits.get(msg.circuit, ""))
        if assembly is None:
            return  # a half at a party's end: its state is not whole before the centre says so
        number = assembly.circuits[msg.circuit]
        edge = assembly.order.edges[number]
        if msg.slot not in edge.centre_slots:
            return
        index = edge.centre_slots.index(msg.slot)
        growing = assembly.states[index]
        growing.held_ns[number] = msg.at_ns
        if len(growing.held_ns) < len(assembly.order.edges):
            age = CheckAge(assembly.order.unit_id, index, number, msg.at_ns)
            ctx.tell(self.name, age, after=max(0, msg.at_ns + assembly.order.wait_ns - ctx.now))
            return
        growing.fusing = True
        await self._fuse(ctx, assembly, index)

    @handles(CheckAge)
    async def on_age(self, ctx: Context, msg: CheckAge) -> None:
        """A pair that has waited too long for its companions is made anew: its QUI is bound again, the unit stays."""
        assembly = self._assemblies.get(msg.unit_id)
        if assembly is None:
            return
        growing = assembly.states[msg.index]
        if growing.fusing or growing.held_ns.get(msg.edge) != msg.held_ns:
            return
        del growing.held_ns[msg.edge]
        edge = assembly.order.edges[msg.edge]
        here, there = edge.centre_slots[msg.index], edge.party_slots[msg.index]
        try:
            await self._act(ctx, "discard", (here,))
            await ctx.ask(edge.party, DropHalf(msg.unit_id, there), within=WITHIN)
            await ctx.ask(PAIR_CONTROLLER, RenewHalf(edge.circuit, here, there), within=WITHIN)
        except Problem as problem:
            self._report(ctx, assembly, f"{edge.party}: {problem.row.title}")
            return
        ctx.emit("qui.rebound", unit_id=msg.unit_id, circuit=edge.circuit, index=msg.index)

    async def _fuse(self, ctx: Context, assembly: _Assembly, index: int) -> None:
        order = assembly.order
        edges = order.edges
        stays = edges[0].centre_slots[index]
        paulis = ["I"] * len(edges)
        try:
            for number in range(1, len(edges)):
                read = edges[number].centre_slots[index]
                done = await self._act(ctx, "fuse", (stays, read))
                paulis[number] = "X" if done.bits[0] else "I"
                await self.give_up(ctx, order.unit_id, read)
            if not order.centre_party:
                # nobody's qubit is left at the centre: read it so that the others keep their state
                done = await self._act(ctx, "measure", (stays,), "X")
                if done.bits[0]:
                    paulis[0] = "Z" if paulis[0] == "I" else "Y"
                await self.give_up(ctx, order.unit_id, stays)
            await self._hand_over(ctx, assembly, index, tuple(paulis))
        except Problem as problem:
            self._report(ctx, assembly, problem.row.title + (f": {problem.detail}" if problem.detail else ""))

    async def _hand_over(self, ctx: Context, assembly: _Assembly, index: int, paulis: tuple[str, ...]) -> None:
        order = assembly.order
        held = assembly.states[index].held_ns
        latest = ctx.now
        for number, edge in enumerate(order.edges):
            ready = self._ready(assembly, edge, index, paulis[number], held, ctx.now)
            await ctx.ask(edge.party, ready, within=WITHIN)
        if order.centre_party:
            own = self._ready(assembly, order.edges[0], index, "I", held, ctx.now)
            slot = order.edges[0].centre_slots[index]
            await self.ready_here(
                ctx, StateReady(own.unit_id, index, slot, "I", own.fidelity, own.at_ns, own.expires_ns)
            )
        fidelity, expires = self._promise(assembly, held, latest)
        assembly.fidelity = min(assembly.fidelity, fidelity)
        assembly.at_ns = latest
        if expires is not None:
            assembly.expires_ns = expires if assembly.expires_ns is None else min(assembly.expires_ns, expires)
        assembly.done += 1
        if assembly.done == order.number:
            self._report(ctx, assembly, "")

    def _ready(
        self, assembly: _Assembly, edge: Edge, index: int, pauli: str, held: dict[int, int], now: int
    ) -> StateReady:
        fidelity, expires = self._promise(assembly, held, now)
        return StateReady(assembly.order.unit_id, index, edge.party_slots[index], pauli, fidelity, now, expires)

    @staticmethod
    def _promise(assembly: _Assembly, held: dict[int, int], now: int) -> tuple[float, int | None]:
        """Least fidelity now, and until when the promise holds."""
        order = assembly.order
        waits = tuple(now - held[number] for number in range(len(order.edges)))
        aged = tuple(
            Edge(e.circuit, e.party, e.node, e.waited(w), e.decay_hz) for e, w in zip(order.edges, waits, strict=True)
        )
        left = longest_wait(aged, order.works, order.fidelity)
        expires = now + (left or 0)
        if order.valid_until_ns is not None:
            expires = min(expires, order.valid_until_ns)
        return bound(order.edges, waits, order.works), expires

    def _report(self, ctx: Context, assembly: _Assembly, why: str) -> None:
        self._forget_assembly(assembly.order.unit_id)
        news = Assembled(assembly.order.unit_id, assembly.fidelity, assembly.at_ns, assembly.expires_ns, why)
        ctx.tell(assembly.order.lead, news)

    async def ready_here(self, ctx: Context, msg: StateReady) -> None:
        """A state whose qubit is at this node is whole."""
        raise NotImplementedError

    async def give_up(self, ctx: Context, unit_id: str, slot: int) -> None:
        """A memory of the centre's has been read and is no longer needed."""
        raise NotImplementedError
