"""The centre of a unit: waits for the pairs of its star, renews those that wait too long, makes states of the others.

A unit that is tested is made in turns: each turn has all states of the unit, and ends in tests or with the unit's
delivery. The centre is told which only when all qubits have left it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    HalfReady,
    OperateSlots,
    RenewHalf,
    RunSteps,
    SlotsDone,
    SlotStep,
    StepsDone,
    memory,
)
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, handles
from quoit.service.kinds import Recipe
from quoit.service.states import (
    Assemble,
    Assembled,
    CheckAge,
    DropHalf,
    Edge,
    Heard,
    MakeAgain,
    Promise,
    StateReady,
)

WITHIN = 5_000_000_000


@dataclass
class _Growing:
    """One state on its way: since when each pair is held."""

    held_ns: dict[int, int] = field(default_factory=dict)
    making: bool = False


@dataclass
class _Assembly:
    order: Assemble
    promise: Promise
    recipe: Recipe
    states: list[_Growing]
    circuits: dict[str, int]
    turn: int = 0
    done: int = 0
    fidelity: float = 1.0
    at_ns: int = 0
    expires_ns: int | None = None

    @property
    def edges(self) -> tuple[Edge, ...]:
        return self.order.star.edges

    def slots(self, index: int) -> tuple[int, ...]:
        """The centre's memories of one state, as its recipe numbers them."""
        extra = self.recipe.workspace
        halves = tuple(edge.centre_slots[index] for edge in self.edges)
        return halves + self.order.workspace[index * extra : (index + 1) * extra]


class Assembler(Element):
    """The part of an entanglement management entity that works as a unit's centre."""

    def __init__(self, name: str, node: str) -> None:
        super().__init__(name, node)
        self._node = node
        self._assemblies: dict[str, _Assembly] = {}
        self._circuits: dict[str, str] = {}
        self._early: dict[str, list[HalfReady]] = {}

    async def _act(
        self, ctx: Context, name: str, slots: tuple[int, ...], basis: str = "Z", pauli: str = "I"
    ) -> SlotsDone:
        order = OperateSlots(self.name, name, slots, basis, 0.0, pauli)
        done: SlotsDone = await ctx.ask(memory(self._node), order, within=WITHIN)
        return done

    @handles(Assemble)
    async def on_assemble(self, ctx: Context, msg: Assemble) -> None:
        star = msg.star
        assembly = _Assembly(
            msg, Promise(star), star.recipe(), [_Growing() for _ in range(msg.number)],
            {edge.circuit: number for number, edge in enumerate(star.edges)},
        )  # fmt: skip
        self._assemblies[msg.unit_id] = assembly
        self._circuits.update(dict.fromkeys(assembly.circuits, msg.unit_id))
        for half in self._early.pop(msg.unit_id, []):
            await self.on_half(ctx, half)

    def _forget_assembly(self, unit_id: str) -> None:
        self._early.pop(unit_id, None)
        assembly = self._assemblies.pop(unit_id, None)
        for circuit in assembly.circuits if assembly is not None else ():
            self._circuits.pop(circuit, None)

    # -- pairs ---------------------------------------------------------------------------------------

    @handles(HalfReady)
    async def on_half(self, ctx: Context, msg: HalfReady) -> None:
        assembly = self._assemblies.get(self._circuits.get(msg.circuit, ""))
        if assembly is None:
            # A half at a party's end: its state is not whole before the centre says so. Or the first circuit has been
            # faster than the order to assemble, which comes after the last one.
            unit_id = msg.circuit.partition("/")[0]
            if self.is_centre_of(unit_id, msg.slot):
                self._early.setdefault(unit_id, []).append(msg)
            return
        number = assembly.circuits[msg.circuit]
        edge = assembly.edges[number]
        if msg.slot not in edge.centre_slots:
            return
        index = edge.centre_slots.index(msg.slot)
        growing = assembly.states[index]
        growing.held_ns[number] = msg.at_ns
        if len(growing.held_ns) < len(assembly.edges):
            age = CheckAge(assembly.order.unit_id, index, number, msg.at_ns)
            ctx.tell(self.name, age, after=max(0, msg.at_ns + assembly.order.wait_ns - ctx.now))
            return
        growing.making = True
        try:
            await self._make(ctx, assembly, index)
        except Problem as problem:
            self._report(ctx, assembly, problem.row.title + (f": {problem.detail}" if problem.detail else ""))

    @handles(CheckAge)
    async def on_age(self, ctx: Context, msg: CheckAge) -> None:
        """A pair that has waited too long for its companions is made anew: its QUI is bound again, the unit stays."""
        assembly = self._assemblies.get(msg.unit_id)
        if assembly is None:
            return
        growing = assembly.states[msg.index]
        if growing.making or growing.held_ns.get(msg.edge) != msg.held_ns:
            return
        del growing.held_ns[msg.edge]
        try:
            await self._act(ctx, "discard", (assembly.edges[msg.edge].centre_slots[msg.index],))
            await self._renew(ctx, assembly, msg.edge, msg.index)
        except Problem as problem:
            self._report(ctx, assembly, f"{assembly.edges[msg.edge].party}: {problem.row.title}")

    async def _renew(self, ctx: Context, assembly: _Assembly, number: int, index: int) -> None:
        """The pair of this edge is made anew; the far half of the old one is thrown away."""
        edge = assembly.edges[number]
        here, there = edge.centre_slots[index], edge.party_slots[index]
        await ctx.ask(edge.party, DropHalf(assembly.order.unit_id, there), within=WITHIN)
        await ctx.ask(PAIR_CONTROLLER, RenewHalf(edge.circuit, here, there), within=WITHIN)
        ctx.emit("qui.rebound", unit_id=assembly.order.unit_id, circuit=edge.circuit, index=index)

    # -- states --------------------------------------------------------------------------------------

    async def _make(self, ctx: Context, assembly: _Assembly, index: int) -> None:
        slots, recipe, turn = assembly.slots(index), assembly.recipe, assembly.turn
        paulis = ["I"] * len(assembly.edges)
        ops_ns = 0
        if recipe.steps:
            steps = tuple(
                SlotStep(step.name, tuple(slots[q] for q in step.qubits), step.basis, step.angle_rad)
                for step in recipe.steps
            )
            done: StepsDone = await ctx.ask(memory(self._node), RunSteps(self.name, steps), within=WITHIN)
            ops_ns = done.done_ns - done.began_ns
            for step, bits in zip(recipe.steps, done.bits, strict=True):
                if step.paulis:
                    paulis[step.far] = _times(paulis[step.far], step.paulis[int("".join(map(str, bits)), 2)])
        if self._assemblies.get(assembly.order.unit_id) is not assembly:
            return
        fidelity, expires = self._promised(assembly, index, ops_ns, ctx.now)
        if expires is None:
            await self._make_one_again(ctx, assembly, index)
            return
        own = None if recipe.own is None else slots[recipe.own]
        if not assembly.order.tested:
            for slot in slots:
                if slot != own:
                    await self.give_up(ctx, assembly.order.unit_id, slot)
        for number, edge in enumerate(assembly.edges):
            ready = StateReady(
                assembly.order.unit_id, index, edge.party_slots[index], paulis[number], fidelity, ctx.now, expires, turn
            )
            await ctx.ask(edge.party, ready, within=WITHIN)
        if own is not None:
            ready = StateReady(assembly.order.unit_id, index, own, "I", fidelity, ctx.now, expires, turn)
            await self.ready_here(ctx, ready)
        self._count(ctx, assembly, index, ops_ns)

    def _count(self, ctx: Context, assembly: _Assembly, index: int, ops_ns: int) -> None:
        """One state more is with its parties."""
        fidelity, expires = self._promised(assembly, index, ops_ns, ctx.now)
        assembly.fidelity = min(assembly.fidelity, fidelity)
        assembly.at_ns = ctx.now
        expires = ctx.now if expires is None else expires
        assembly.expires_ns = expires if assembly.expires_ns is None else min(assembly.expires_ns, expires)
        assembly.done += 1
        if assembly.done == assembly.order.number and not assembly.order.tested:
            self._report(ctx, assembly, "")

    async def _make_one_again(self, ctx: Context, assembly: _Assembly, index: int) -> None:
        """The centre took too long over it: nobody gets it."""
        await self._empty(ctx, assembly, index)
        assembly.states[index] = _Growing()
        for number in range(len(assembly.edges)):
            await self._renew(ctx, assembly, number, index)

    async def _empty(self, ctx: Context, assembly: _Assembly, index: int) -> None:
        """Throw away what the centre still holds of a state."""
        for slot in assembly.slots(index):
            try:
                await self._act(ctx, "discard", (slot,))
            except Problem as problem:
                if problem.code != "bad-operation":  # it is empty
                    raise

    @handles(MakeAgain)
    async def on_make_again(self, ctx: Context, msg: MakeAgain) -> Heard:
        """A turn is used up, its qubits have all been read: the same memories and circuits make the next one."""
        assembly = self._assemblies.get(msg.unit_id)
        if assembly is None or assembly.turn != msg.turn:
            raise Problem("unknown-unit")
        assembly.turn += 1
        assembly.done, assembly.fidelity, assembly.expires_ns = 0, 1.0, None
        assembly.states = [_Growing() for _ in assembly.states]
        for index in range(assembly.order.number):
            for edge in assembly.edges:
                renew = RenewHalf(edge.circuit, edge.centre_slots[index], edge.party_slots[index])
                await ctx.ask(PAIR_CONTROLLER, renew, within=WITHIN)
        return Heard()

    @staticmethod
    def _promised(assembly: _Assembly, index: int, ops_ns: int, now: int) -> tuple[float, int | None]:
        """Least fidelity now, and until when the promise holds; None if it does not hold now."""
        order, held = assembly.order, assembly.states[index].held_ns
        waits = tuple(now - held[number] for number in range(len(assembly.edges)))
        fidelity = assembly.promise.least(waits, ops_ns)
        left = assembly.promise.longest_wait(order.fidelity, waits, ops_ns)
        if left is None:
            return fidelity, None
        expires = now + left
        return fidelity, expires if order.valid_until_ns is None else min(expires, order.valid_until_ns)

    def _report(self, ctx: Context, assembly: _Assembly, why: str) -> None:
        if self._assemblies.get(assembly.order.unit_id) is not assembly:
            return
        self._forget_assembly(assembly.order.unit_id)
        news = Assembled(assembly.order.unit_id, assembly.fidelity, assembly.at_ns, assembly.expires_ns, why)
        ctx.tell(assembly.order.lead, news)

    async def ready_here(self, ctx: Context, msg: StateReady) -> None:
        """A state whose qubit is at this node is whole."""
        raise NotImplementedError

    def is_centre_of(self, unit_id: str, slot: int) -> bool:
        """Is this memory kept for a unit that is to be put together here?"""
        raise NotImplementedError

    async def give_up(self, ctx: Context, unit_id: str, slot: int) -> None:
        """A memory of the centre's has been read and is no longer needed."""
        raise NotImplementedError


_PAULIS = "IXZY"  # numbers are bit flip and phase flip: their product is XOR


def _times(one: str, other: str) -> str:
    return _PAULIS[_PAULIS.index(one) ^ _PAULIS.index(other)]
